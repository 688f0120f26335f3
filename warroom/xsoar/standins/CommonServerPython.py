"""Stands in for the helper library that Cortex XSOAR puts before an integration.

`__all__` holds what the integration uses. Each of these behaves as recorded from the platform,
and what is not recorded is refused (test_data/commonserver_cases.json). The other public names
stand here because the platform has them in the same namespace: an integration that binds one of
them anew would break the platform's own functions. What only the stand-in has is private, so
that nothing comes to rely on it: the platform's own file can lie here in its place.
"""

import base64  # noqa: F401
import json
import logging  # noqa: F401
import os
import re
import socket  # noqa: F401
import ssl  # noqa: F401
import sys
import time  # noqa: F401
import traceback
import types  # noqa: F401
import urllib  # noqa: F401
import warnings  # noqa: F401
from collections import OrderedDict  # noqa: F401
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta  # noqa: F401
from functools import wraps  # noqa: F401
from typing import Any, Dict, List, NoReturn, Optional, Set, Union, cast  # noqa: F401, UP035

import requests  # noqa: F401
from requests.adapters import HTTPAdapter  # noqa: F401
from urllib3.util import Retry  # noqa: F401

import demistomock as demisto

__all__ = [
    "CommandResults",
    "DemistoException",
    "EntryType",
    "ScheduledCommand",
    "add_sensitive_log_strs",
    "argToBoolean",
    "argToList",
    "get_integration_context_with_version",
    "handle_proxy",
    "pascalToSpace",
    "return_error",
    "return_results",
    "set_integration_context",
    "tableToMarkdown",
]

# Names of the platform's library without a use here, kept taken.
_TAKEN = """
BaseClient Common DBotScoreType EVENTS EntityRelationship ExecutionMetrics
FeedIndicatorType HOUR IncidentSeverity IncidentStatus IntegrationLogger JsonTransformer
LOG MASK OutputArgument PollResult SSLAdapter SchemeTypeMapping ThreatIntel
YMLMetadataCollector ZERO appendContext append_metrics arg_to_datetime arg_to_number
assign_params b64_encode batch brands camelize dateparser dict_safe_get emailRegex
fileResult flattenRow flattenTable formatCell formats generic_http_request
get_current_time get_error gzip hash_djb2 is_error is_xsiam json2elem logger merge_lists
outputPaths parse_date_range parse_date_string polling_function providers randint
remove_empty_elements retry return_outputs return_warning safe_sleep snakify strip_tag
support_multithreading thresholds timestamp_to_datestring underscoreToCamelCase urlRegex
urljoin
"""
globals().update(dict.fromkeys(_TAKEN.split()))

_TEXTS: Any = (str, bytes)  # The library takes both for text.
_LONGEST_ERROR = 50_000  # characters
_SHORTEST_WAIT = 10  # seconds between two runs of a scheduled command
_CUT = "...This error body was truncated..."
_PROXY_SCHEMES = ("http", "https", "socks5", "socks5h", "socks4", "socks4a")
_PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")
_CERTIFICATE_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_RAISES_ON_ERROR = (
    "fetch-incidents",
    "fetch-credentials",
    "long-running-execution",
    "fetch-indicators",
)
_BOOLEANS = {"true": True, "yes": True, "false": False, "no": False}

_Entry = dict[str, Any]


class EntryType:
    """The kinds of war room entries."""

    NOTE = 1
    FILE = 3
    ERROR = 4
    IMAGE = 7
    ENTRY_INFO_FILE = 9
    WARNING = 11
    MAP_ENTRY_TYPE = 15
    WIDGET = 17
    EXECUTION_METRICS = 19


class EntryFormat:
    """How the contents of an entry are to be read."""

    HTML = "html"
    TABLE = "table"
    JSON = "json"
    TEXT = "text"
    DBOT_RESPONSE = "dbotCommandResponse"
    MARKDOWN = "markdown"


_ENTRY_FORMATS = {value for name, value in vars(EntryFormat).items() if name.isupper()}


class DemistoException(Exception):  # noqa: N818
    """The platform's error; its text is the message alone."""

    def __init__(
        self,
        message: Any,
        exception: Any = None,
        res: Any = None,
        error_type: Any = None,
        *args: Any,
    ) -> None:
        super().__init__(message, exception, error_type, *args)
        self.message = message
        self.exception = exception
        self.res = res
        self.error_type = error_type

    def __str__(self) -> str:
        return str(self.message)


# Arguments


def _items(arg: Any, separator: str) -> list[Any]:
    if not arg:
        return []
    if isinstance(arg, list):
        return arg
    if not isinstance(arg, _TEXTS):
        return [arg]
    if arg[0] == "[" and arg[-1] == "]":
        try:
            return cast("list[Any]", json.loads(arg))
        except ValueError:
            demisto.debug(f"Failed to load {arg} as JSON, trying to split")
    return [part.strip() for part in arg.split(separator)]


def argToList(
    arg: Any,
    separator: str = ",",
    transform: Callable[[Any], Any] | None = None,
) -> list[Any]:
    """The list meant by `a,b`, by JSON text, by a list, or by a single value.

    Nothing gives an empty one.
    """
    items = _items(arg, separator)
    if transform is None:
        return items
    return [transform(item) for item in items]


def argToBoolean(value: Any) -> bool:
    """True or false for a boolean, or for true, yes, false, no in any case.

    Raises: ValueError: anything else.
    """
    if isinstance(value, bool):
        return value
    if not isinstance(value, str):
        raise ValueError("Argument is neither a string nor a boolean")
    word = value.lower()
    if word not in _BOOLEANS:
        raise ValueError("Argument does not contain a valid boolean-like value")
    return _BOOLEANS[word]


# Tables


def _spaced_word(match: re.Match[str]) -> str:
    return f" {match[0].title()} "


def pascalToSpace(s: Any) -> Any:
    """`riskLevel` as `Risk Level`; what is not a string comes back as it is."""
    if not isinstance(s, str):
        return s
    spaced = re.sub("[A-Z]?[a-z]+", _spaced_word, s)
    return " ".join(spaced.split())


def string_to_table_header(string: Any) -> str:
    """`risk_level` as `Risk Level`. Raises: Exception: it is not a string."""
    if not isinstance(string, str):
        raise Exception(f"The key is not a string: {string}")
    words = string.replace("_", " ").split()
    return " ".join(word.capitalize() for word in words)


def _title(name: str, metadata: str | None) -> str:
    title = f"### {name}\n" if name else ""
    subtitle = metadata + "\n" if metadata else ""
    return title + subtitle


def _labelled(items: list[Any], headers: list[str] | None) -> list[dict[str, Any]]:
    """Rows with one column for items that are no objects."""
    if not headers:
        problem = "Missing headers param for tableToMarkdown."
        raise Exception(f"{problem} Example: headers=['Some Header']")
    return [{headers[0]: item} for item in items]


def _rows_and_headers(
    t: Any, headers: Any, sort_headers: bool
) -> tuple[list[dict[str, Any]], list[str]]:
    if not t or len(t) == 0:
        return [], []
    if not headers and isinstance(t, dict) and len(t) == 1:
        headers = list(t)
        (t,) = t.values()
    if isinstance(headers, str):
        headers = [headers]
    rows = t if isinstance(t, list) else [t]
    first = rows[0]
    if not isinstance(first, dict):
        return _labelled(rows, headers), headers
    keys = sorted(first) if sort_headers else list(first)
    return rows, headers or keys


def _is_filled(rows: list[dict[str, Any]], header: str) -> bool:
    values = [row.get(header) for row in rows]
    return any(value not in ("", None, [], {}) for value in values)


def _link(url: Any) -> Any:
    if not url:
        return None
    if isinstance(url, list):
        return [f"[{item}]({item})" for item in url]
    return f"[{url}]({url})"


def _with_links(value: Any, keys: list[str]) -> Any:
    if isinstance(value, list):
        return [_with_links(item, keys) for item in value]
    if not isinstance(value, dict):
        return value
    linked = {}
    for key, item in value.items():
        linked[key] = _link(item) if key in keys else _with_links(item, keys)
    return linked


def _escape(text: str) -> str:
    for line_break in ("\r\n", "\r", "\n"):
        text = text.replace(line_break, "<br>")
    return re.sub(r"([|`])", r"\\\1", text)


def _line(cells: list[str]) -> str:
    escaped = " | ".join(map(_escape, cells))
    return f"| {escaped} |"


def _item_text(item: Any) -> str:
    return item.decode() if isinstance(item, bytes) else str(item)


def _flat(value: Any) -> Any:
    if isinstance(value, _TEXTS):
        return value
    if isinstance(value, list):
        return ",\n".join(map(_item_text, value))
    return json.dumps(value, ensure_ascii=False, default=str)


def _flat_cell(value: Any) -> Any:
    if value is None:
        return ""
    if not isinstance(value, dict):
        return _flat(value)
    lines = [f"{key}: {_flat(item)}" for key, item in value.items()]
    return "\n".join(lines)


def _branches(value: Any) -> list[tuple[Any, Any]]:
    """The keys and values of an object, the numbers and items of a list of objects or lists."""
    if isinstance(value, dict):
        return list(value.items())
    return list(enumerate(value))


def _leaves(value: Any, path: list[Any]) -> Iterator[tuple[list[Any], Any, Any]]:
    """The path, the key and the value of all that stands in nested objects and lists."""
    is_list = isinstance(value, list)
    is_plain_list = is_list and not isinstance(next(iter(value), ""), (list, dict))
    if is_plain_list:
        yield path, "values", ", ".join(value)
    elif isinstance(value, (dict, list)):
        for key, item in _branches(value):
            if is_list or isinstance(item, (dict, list)):
                yield from _leaves(item, [*path, key])
            else:
                yield path, key, item


def _step(depth: int, key: Any) -> str:
    name = "**-**" if isinstance(key, int) else f"**{key}**:\n"
    return "\t" * depth + name


def _tree_cell(value: Any) -> Any:
    """Nested objects and lists as indented lines; a number or a boolean shows as nothing."""
    if isinstance(value, _TEXTS):
        return value
    lines = []
    before: list[Any] = []
    for path, key, item in _leaves(value, []):
        shared = len(os.path.commonprefix((before, path)))
        new_steps = list(enumerate(path))[shared:]
        steps = "".join(_step(depth, step) for depth, step in new_steps)
        begins_item = path != before and isinstance(next(reversed(path), ""), int)
        tabs = "\t" if begins_item else "\t" * len(path)
        lines.append(f"{steps}{tabs}***{key}***: {_flat(item)}")
        before = path
    return "\n".join(lines)


def tableToMarkdown(
    name: str,
    t: Any,
    headers: Any = None,
    headerTransform: Callable[[str], str] | None = None,
    removeNull: bool = False,
    metadata: str | None = None,
    url_keys: list[str] | None = None,
    *,
    is_auto_json_transform: bool = False,
    sort_headers: bool = True,
) -> str:
    """A markdown table of the rows `t`.

    Its columns are the `headers`, or else the keys of the first row.
    """
    title = _title(name, metadata)
    if url_keys:
        t = _with_links(t, url_keys)
    rows, headers = _rows_and_headers(t, headers, sort_headers)
    if removeNull:
        headers = [header for header in headers if _is_filled(rows, header)]
    if not rows or not headers:
        return title + "**No entries.**\n"
    transform = headerTransform or _escape
    labels = [transform(header) for header in headers]
    to_cell = _tree_cell if is_auto_json_transform else _flat_cell
    lines = ["|" + "|".join(labels) + "|", "|" + "---|" * len(headers)]
    for row in rows:
        cells = [to_cell(row.get(header)) for header in headers]
        lines.append(_line(cells))
    return title + "\n".join(lines) + "\n"


# The server and what it keeps


def _comparable(version: str) -> list[str]:
    return [part.zfill(8) for part in version.split(".")]


def is_demisto_version_ge(version: str) -> bool:
    """Whether the server is of this version or a later one; 6.10 is later than 6.5."""
    server_version = demisto.demistoVersion()["version"]
    return _comparable(server_version) >= _comparable(version)


def is_versioned_context_available() -> bool:
    return is_demisto_version_ge("6.0.0")


def get_integration_context(sync: bool = True, with_version: bool = False) -> Any:
    """The integration context, or with its version; servers before 6.0.0 have no versions."""
    if not is_versioned_context_available():
        return demisto.getIntegrationContext()
    versioned = demisto.getIntegrationContextVersioned(sync)
    return versioned if with_version else versioned.get("context", {})


def get_integration_context_with_version(sync: bool = True) -> tuple[Any, Any]:
    """The integration context and its version, which is -1 where there are none."""
    latest = get_integration_context(sync, with_version=True)
    if not is_versioned_context_available():
        return latest, -1
    version = latest.get("version", 0) if sync else -1
    return latest.get("context", {}), version


def set_integration_context(
    context: dict[str, Any], sync: bool = True, version: Any = -1
) -> None:
    """Replace the integration context. Raises: ValueError: `version` is given and stale."""
    demisto.debug("Setting integration context")
    if is_versioned_context_available():
        text = f"Updating integration context with version {version}. Sync: {sync}"
        demisto.debug(text)
        demisto.setIntegrationContextVersioned(context, version, sync)
    else:
        demisto.setIntegrationContext(context)


def add_sensitive_log_strs(
    sensitive_str: str,  # noqa: ARG001 - the platform's parameter
) -> None:
    """Register a secret that the platform is to mask in its log; here nothing is masked."""


def _either(name: str) -> str:
    return os.environ.get(name.upper()) or os.environ.get(name, "")


def _with_scheme(address: str) -> str:
    scheme, separator, _ = address.partition("://")
    if separator and scheme in _PROXY_SCHEMES:
        return address
    return f"http://{address}"


def _forget(names: tuple[str, ...]) -> None:
    for name in names:
        os.environ.pop(name, None)


def handle_proxy(
    proxy_param_name: str = "proxy",
    checkbox_default_value: bool = False,
    handle_insecure: bool = True,
) -> dict[str, str]:
    """The proxies to use, from the environment.

    Without the proxy parameter there are none, and the environment loses them. When any
    certificate is trusted the environment also loses its certificate bundles, else
    requests would use those.
    """
    params = demisto.params()
    trusts_any = params.get("insecure") or params.get("unsecure")
    if handle_insecure and trusts_any:
        _forget(_CERTIFICATE_VARIABLES)
    if not params.get(proxy_param_name, checkbox_default_value):
        _forget(_PROXY_VARIABLES)
        return {}
    for name in _PROXY_VARIABLES:
        address = os.environ.get(name)
        if address:
            os.environ[name] = _with_scheme(address)
    return {"http": _either("http_proxy"), "https": _either("https_proxy")}


# Results


class ScheduledCommand:
    """Asks the server to run `command` again after so many seconds.

    Only servers from 6.2.0 on do that; the library asks none for its version.
    """

    def __init__(
        self,
        command: str,
        next_run_in_seconds: int,
        args: dict[str, Any] | None = None,
        timeout_in_seconds: int | None = None,
        items_remaining: int | None = 0,
    ) -> None:
        self._command = command
        self._next_run = self._allowed(next_run_in_seconds)
        self._args = args
        self._timeout = timeout_in_seconds
        self._items_remaining = items_remaining

    @staticmethod
    def _allowed(seconds: int) -> int:
        if not seconds < _SHORTEST_WAIT:
            return seconds
        given = f"provided value for next_run_in_seconds: {seconds} is too low"
        least = "minimum interval is 10 seconds"
        used = "next_run_in_seconds was set to 10 seconds."
        demisto.info(f"ScheduledCommandConfiguration {given} - {least}. {used}")
        return _SHORTEST_WAIT

    @staticmethod
    def supports_polling() -> bool:
        return True

    @staticmethod
    def raise_error_if_not_supported() -> bool:
        return True

    def to_results(self) -> dict[str, Any]:
        """The entry's polling keys; seconds are texts, empty values left out."""
        timeout = str(self._timeout) if self._timeout else None
        values = {
            "PollingCommand": self._command,
            "NextRun": str(self._next_run),
            "PollingArgs": self._args,
            "Timeout": timeout,
            "PollingItemsRemaining": self._items_remaining,
        }
        kept = {}
        for key, value in values.items():
            if value not in (None, "", [], {}, ()):
                kept[key] = value
        return kept


def _check_outputs(outputs: Any, prefix: str | None, key_field: Any) -> None:
    is_value = outputs is not None and not isinstance(outputs, dict)
    if is_value and not prefix:
        raise ValueError("outputs_prefix is missing")
    if outputs is not None and prefix == ".":
        raise ValueError("outputs_prefix cannot be a period.")
    if key_field and not isinstance(key_field, (str, list)):
        raise TypeError("outputs_key_field must be of type str or list")


def _check_format(content_format: str | None) -> None:
    if content_format is not None and content_format not in _ENTRY_FORMATS:
        known = "see CommonServerPython.EntryFormat"
        raise TypeError(f"content_format {content_format} is invalid, {known}")


def _format_of(contents: Any) -> str:
    if isinstance(contents, (*_TEXTS, int)):
        return EntryFormat.TEXT
    return EntryFormat.JSON


def _condition(key_field: str | list[str] | None) -> str:
    """By which keys the server finds the object that an output belongs to."""
    if not key_field:
        return ""
    keys = [key_field] if isinstance(key_field, str) else key_field
    tests = [f"val.{key} && val.{key} == obj.{key}" for key in keys]
    return "(" + " && ".join(tests) + ")"


def _replacing(prefix: str, outputs: Any) -> dict[str, Any]:
    parent, _, name = prefix.rpartition(".")
    if not parent:
        problem = "outputs_prefix must be a nested path to replace an existing key."
        raise DemistoException(problem)
    return {f"{parent}(true)": {name: outputs}}


class CommandResults:
    """What a command gives back: readable text, context, and the answer as it came."""

    def __init__(
        self,
        outputs_prefix: str | None = None,
        outputs_key_field: str | list[str] | None = None,
        outputs: Any = None,
        *,
        indicators: list[Any] | None = None,
        indicator: Any = None,
        readable_output: str | None = None,
        raw_response: Any = None,
        ignore_auto_extract: bool = False,
        mark_as_note: bool = False,
        tags: list[str] | None = None,
        scheduled_command: ScheduledCommand | None = None,
        entry_type: int | None = None,
        content_format: str | None = None,
        replace_existing: bool = False,
    ) -> None:
        _check_outputs(outputs, outputs_prefix, outputs_key_field)
        _check_format(content_format)
        if indicators and indicator:
            raise ValueError("indicators is DEPRECATED, use only indicator")
        self.indicators = indicators
        self.indicator = indicator
        self.outputs_prefix = outputs_prefix
        self.outputs_key_field = outputs_key_field
        self.outputs = outputs
        self.readable_output = readable_output
        self.raw_response = outputs if raw_response is None else raw_response
        self.ignore_auto_extract = ignore_auto_extract
        self.mark_as_note = mark_as_note
        self.tags = tags
        self.scheduled_command = scheduled_command
        self.entry_type = EntryType.NOTE if entry_type is None else entry_type
        self.content_format = content_format
        self.replace_existing = replace_existing

    def _has_outputs(self) -> bool:
        return self.outputs is not None and self.outputs != []

    def _readable(self) -> Any:
        if self.readable_output or not self._has_outputs():
            return self.readable_output or None
        if isinstance(self.outputs, (dict, list)):
            return tableToMarkdown("Results", self.outputs)
        return self.outputs

    def _output_context(self) -> dict[str, Any]:
        if not self._has_outputs():
            return {}
        if not self.outputs_prefix:
            return dict(self.outputs)
        if self.replace_existing:
            return _replacing(self.outputs_prefix, self.outputs)
        condition = _condition(self.outputs_key_field)
        return {self.outputs_prefix + condition: self.outputs}

    def _context(self) -> dict[str, Any]:
        """What the indicators say of themselves, in a list for each key, and the outputs."""
        indicators = [self.indicator] if self.indicator else self.indicators
        context: dict[str, Any] = {}
        for indicator in indicators or ():
            for key, value in indicator.to_context().items():
                context.setdefault(key, []).append(value)
        return context | self._output_context()

    def to_context(self) -> dict[str, Any]:
        """The entry as the server takes it."""
        contents_format = self.content_format or _format_of(self.raw_response)
        entry: _Entry = {
            "Type": self.entry_type,
            "ContentsFormat": contents_format,
            "Contents": self.raw_response,
            "HumanReadable": self._readable(),
            "EntryContext": self._context(),
            "IndicatorTimeline": [],
            "IgnoreAutoExtract": bool(self.ignore_auto_extract),
            "Note": bool(self.mark_as_note),
            "Relationships": [],
        }
        if self.tags:
            entry["Tags"] = self.tags
        if self.scheduled_command:
            entry.update(self.scheduled_command.to_results())
        return entry


def _as_entry(result: Any) -> Any:
    if isinstance(result, CommandResults):
        return result.to_context()
    return result


def return_results(results: Any) -> None:
    """Send results to the war room.

    Of a list the objects go first, the plain ones together after them.
    """
    if not isinstance(results, list) or not results:
        demisto.results(_as_entry(results))
        return
    plain = []
    for item in results:
        if isinstance(item, (dict, str)):
            plain.append(item)
        else:
            return_results(item)
    if plain:
        demisto.results(plain)


def _shortened(text: str) -> str:
    if len(text) <= _LONGEST_ERROR:
        return text
    half = _LONGEST_ERROR // 2
    return f"{text[:half]}{_CUT}{text[-half:]}"


def return_error(message: Any, error: Any = "", outputs: Any = None) -> NoReturn:
    """End the command with an error entry.

    The platform masks known secrets in the log; here nothing is masked, so that a test
    sees what would go there. Raises: Exception: the server asked for a fetch;
    SystemExit: else.
    """
    trace = traceback.format_exc() if sys.exc_info()[0] else ""
    text = str(message)
    parts = [text]
    if error:
        parts.append(str(error))
    if trace:
        parts.append(f"\n{trace}")
    log = "\n".join(parts)
    demisto.info(f"Full Integration Log:\n{log}")
    if demisto.is_debug and trace:
        text = f"{text}\n\n{trace}"
    if demisto.command() in _RAISES_ON_ERROR:
        raise Exception(text)
    entry = {
        "Type": EntryType.ERROR,
        "ContentsFormat": "text",
        "Contents": _shortened(text),
        "EntryContext": outputs,
    }
    demisto.results(entry)
    sys.exit(0)
