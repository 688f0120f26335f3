"""Commands of one instance that overlap: each in a process of its own, all with one integration context."""

import json
import multiprocessing
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

from requests.adapters import HTTPAdapter

from demistomock import ContextStore
from helpers import Params, Row
from warroom.azure.loopback import LoopbackAdapter
from warroom.azure.server import Simulator
from warroom.xsoar.integration import MANIFEST, load_integration
from warroom.xsoar.runner import WarRoom

PATIENCE = 30  # seconds; nothing here waits as long unless it hangs
READ, WRITE, DONE = "read", "write", "done"  # what a process says to the test


class Task(NamedTuple):
    """A command line for a process, or "fetch-incidents", and where its requests are led."""

    line: str
    params: Params
    port: int


class Done(NamedTuple):
    """What became of a task."""

    failed: bool
    contents: list[Any]  # of the entries; of an error, its text
    texts: list[str]  # all that was shown or logged
    sensitive: list[str]  # what the platform was told to hide


# In the process


class Port(NamedTuple):
    """Leads requests to the simulator in the other process."""

    number: int

    def adapter(self, *, carrier: HTTPAdapter) -> HTTPAdapter:
        return LoopbackAdapter(self.number, carrier=carrier)


class RemoteStore:
    """The ContextStore of the test's process."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def read(self) -> Row:
        self.connection.send((READ,))
        answer: Row = self.connection.recv()
        return answer

    def write(self, content: Row, version: int) -> None:
        self.connection.send((WRITE, content, version))
        problem = self.connection.recv()
        if problem:
            raise ValueError(problem)


def run_task(task: Task, store: RemoteStore) -> Done:
    module = load_integration()
    hidden: list[str] = []
    vars(module)["add_sensitive_log_strs"] = hidden.append
    room = WarRoom(module, MANIFEST, task.params, simulator=Port(task.port), context_store=store)
    run = room.fetch() if task.line == "fetch-incidents" else room.run(task.line)
    contents = [entry["Contents"] for entry in run.entries]
    texts = [json.dumps(entry) for entry in run.entries] + run.logs
    return Done(run.failed, contents, texts, hidden)


def work(connection: Connection) -> None:
    """Run tasks until there are no more."""
    load_integration()
    while True:
        try:
            task = connection.recv()
        except EOFError:
            return
        connection.send((DONE, run_task(task, RemoteStore(connection))))


# In the test


def problem(store: ContextStore, content: Row, version: int) -> str:
    """Write; what speaks against it, or nothing."""
    try:
        store.write(content, version)
    except ValueError as stale:
        return str(stale)
    return ""


class Worker:
    """A process that runs one command after the other. has_read: set when it has read the context."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, far_end = context.Pipe()
        self.process = context.Process(target=work, args=(far_end,), daemon=True)
        self.process.start()
        far_end.close()
        self.has_read = threading.Event()

    def close(self) -> None:
        self.connection.close()
        self.process.join(PATIENCE)

    def said(self) -> tuple[Any, ...]:
        assert self.connection.poll(PATIENCE), "the process says nothing"
        said: tuple[Any, ...] = self.connection.recv()
        return said

    def run(self, task: Task, store: ContextStore) -> Done:
        """Run a task, and let it read and write the store meanwhile."""
        self.connection.send(task)
        while True:
            what, *content = self.said()
            if what == DONE:
                (done,) = content
                assert isinstance(done, Done)
                return done
            if what == READ:
                self.connection.send(store.read())
                self.has_read.set()
            else:
                self.connection.send(problem(store, *content))


class Hold:
    """An answer of the simulator that is kept back until it is let go."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.released = threading.Event()

    def keep_back(self) -> None:
        self.reached.set()
        self.released.wait(PATIENCE)

    def wait(self) -> None:
        """Wait until the request has been carried out, and only its answer is missing."""
        assert self.reached.wait(PATIENCE), "the request never came"

    def let_go(self) -> None:
        self.released.set()


class Stage:
    """Two processes, the context they share, and the simulator that both ask. done: all that ended."""

    def __init__(self, workers: list[Worker], simulator: Simulator, params: Params) -> None:
        self.workers = workers
        self.simulator = simulator
        self.params = params
        self.store = ContextStore()
        self.holds: dict[float, Hold] = {}
        self.threads = ThreadPoolExecutor(len(workers))
        self.done: list[Done] = []
        # A delay says which hold it is.
        simulator.sleep = lambda seconds: self.holds[seconds].keep_back()

    def close(self) -> None:
        for hold in self.holds.values():
            hold.let_go()
        self.threads.shutdown()

    def hold(self, face: str, after: int = 0, **how: Any) -> Hold:
        """Keep back the answer to the next request of a face, after letting some pass."""
        hold = Hold()
        number = len(self.holds) + 1
        self.holds[number] = hold
        self.simulator.fail_next(face=face, after=after, delay_s=number, **how)
        return hold

    def _run(self, line: str, worker: int) -> Done:
        task = Task(line, self.params, self.simulator.port)
        done = self.workers[worker].run(task, self.store)
        self.done.append(done)
        return done

    def begin(self, line: str, worker: int = 0) -> "Future[Done]":
        return self.threads.submit(self._run, line, worker)

    def run(self, line: str, worker: int = 1) -> Done:
        """Run a command to its end, by default in the second process."""
        return self.begin(line, worker).result(PATIENCE)

    def succeed(self, line: str, worker: int = 1) -> Done:
        done = self.run(line, worker)
        assert not done.failed, done.contents
        return done
