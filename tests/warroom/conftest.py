"""A small integration of its own, by which the war room shows that it runs any."""

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from helpers import Make
from warroom.xsoar.integration import run_as_one_text
from warroom.xsoar.runner import WarRoom

INTEGRATION = """
import demistomock as demisto
from CommonServerPython import *
import itertools

def utc_now(): raise AssertionError("the clock is not set")

def echo(args): return CommandResults("Contoso.Echo", "id", {"id": "1", **args}, readable_output=json.dumps(args))
def rows(args):
    found = [{"id": str(number), "a": {"b": number}} for number in range(int(args["count"]))]
    return CommandResults("Contoso.Row", "id", found, readable_output=f"{len(found)} rows")
def remember(args):
    context = get_integration_context()
    set_integration_context({"count": str(int(context.get("count", 0)) + 1)})
    return "before: " + context.get("count", "nothing")
def wait(args):
    left = int(args["left"])
    schedule = ScheduledCommand("contoso-wait", 30, {"left": str(left - 1), "own": "x"}, args.get("timeout"))
    text = f"{sorted(args)} {left}"
    return CommandResults(readable_output=text, scheduled_command=schedule if left else None)
def change(args):
    os.environ["CONTOSO"] = "changed"
    return f"{os.environ['CONTOSO']} {os.environ.pop('FABRIKAM')}"
def fault(args): raise KeyError("no such thing")
def refuse(args): return_error("refused")
def choose(args): return_error("refused" + args.get("why", ""))
def write(args): sys.stdout.write("oops")
def debug(args): return str(demisto.is_debug)
def moment(args): return utc_now().isoformat()
def test(args): return "ok" if demisto.params()["url"] == "https://contoso.example" else "wrong url"
def fetch(args):
    last = demisto.getLastRun().get("number", 0)
    demisto.setLastRun({"number": last + 1})
    if demisto.params().get("silent"): return None
    demisto.incidents([{"name": f"incident {last}"}])
    if last == demisto.params().get("fails_at"): return_error("cannot go on")

COMMANDS = {"contoso-echo": echo, "contoso-rows": rows, "contoso-remember": remember, "contoso-wait": wait,
            "contoso-change": change, "contoso-fault": fault, "contoso-choose": choose,
            "contoso-refuse": refuse, "contoso-write": write,
            "contoso-moment": moment, "contoso-debug": debug, "test-module": test, "fetch-incidents": fetch}

def main():
    demisto.debug(f"running {demisto.command()}")
    if demisto.command() in COMMANDS:
        result = COMMANDS[demisto.command()](demisto.args())
        if result is not None: return_results(result)

if __name__ == "builtins":
    main()
"""

YAML = """
commonfields: {id: Contoso, version: -1}
configuration:
- {name: url, type: 0, display: URL, defaultvalue: https://contoso.example}
- {name: insecure, type: 8, display: Trust, defaultvalue: 'true'}
- {name: secret, type: 9, displaypassword: Secret}
- {name: kinds, type: 16, display: Kinds, defaultvalue: 'a,b'}
script:
  commands:
  - name: contoso-echo
    description: Gives back its arguments.
    arguments:
    - {name: text, default: true, description: Any text.}
    - {name: limit, defaultValue: '50', description: A number.}
    - {name: level, auto: PREDEFINED, predefined: [low, very high], description: A level.}
    - {name: ids, isArray: true, predefined: [one, two], description: Ids.}
  - name: contoso-rows
    description: Gives rows.
    arguments: [{name: count, required: true, description: How many.}]
  - name: contoso-wait
    description: Polls.
    polling: true
    arguments:
    - {name: left, required: true, description: Rounds.}
    - {name: timeout, hidden: true, description: Seconds.}
  - name: contoso-both
    description: Needs two.
    arguments: [{name: one, required: true, description: One.}, {name: two, required: true, description: Two.}]
  - {name: contoso-remember, description: Counts.}
  - {name: contoso-change, description: Changes the environment.}
  - {name: contoso-fault, description: Has a fault.}
  - {name: contoso-refuse, description: Refuses.}
  - name: contoso-choose
    description: Refuses what is chosen.
    arguments:
    - {name: level, auto: PREDEFINED, predefined: [low, very high], description: A level.}
    - {name: ids, isArray: true, predefined: [one, two], description: Ids.}
    - {name: why, description: Any text.}
  - {name: contoso-write, description: Writes to standard output.}
  - {name: contoso-debug, description: Tells whether it is being debugged.}
  - {name: contoso-moment, description: Tells the time.}
"""


@pytest.fixture(scope="module")
def module() -> ModuleType:
    return run_as_one_text(INTEGRATION)


@pytest.fixture(scope="module")
def manifest_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("manifest") / "Contoso.yml"
    path.write_text(YAML, encoding="utf-8")
    return path


@pytest.fixture
def make(module: ModuleType, manifest_path: Path) -> Make:
    def made(**options: Any) -> WarRoom:
        params = {"url": "https://contoso.example", **options.pop("params", {})}
        return WarRoom(module, manifest_path, params, sleep=lambda _: None, **options)

    return made


@pytest.fixture
def room(make: Make) -> WarRoom:
    return make()
