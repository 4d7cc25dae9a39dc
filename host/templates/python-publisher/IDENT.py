"""A Gristmill publisher in Python: posts every message to one URL."""

import json

from componentize_py_types import Err, Ok
from wit_world.imports import envelope
from wit_world.imports.types import (
    Advice,
    Body_Payload,
    Failure_Unreachable,
    Fault_Reject,
    Fault_Retry,
    HttpReply,
    HttpRequest,
    Reply,
    Request,
    Request_Http,
)

url = ""


class Setup:
    """Called once per instance, before any message."""

    def init(self, config: str) -> None:
        global url
        url = json.loads(config).get("url")
        if not isinstance(url, str):
            raise Err(f"`url` is to be a string, not {url!r}")


class Publishing:
    """Called for every message. What is raised and not caught is a bug: its text is logged, and the message tried again."""

    def publish(self, payload: bytes) -> list[Request]:
        """What the host is to send for this message; nothing means done."""
        headers = [("x-topic", envelope.topic())]
        return [Request_Http(HttpRequest("POST", url, headers, Body_Payload(), None))]

    def answered(self, payload: bytes, replies: list[Reply]) -> list[Request]:
        """Judges the replies, one for each request; more to send, or nothing when done."""
        for reply in replies:
            judge(reply)
        return []


def judge(reply: Reply) -> None:
    """Raises what keeps the message from being done."""
    match reply.value:
        case Ok(HttpReply() as answer):
            if not 200 <= answer.status < 300:
                raise refused(answer)
        case Err(Failure_Unreachable(reason)):
            raise retry(reason)
        case Err(failure):
            raise reject(failure.value)


def refused(answer: HttpReply) -> Err:
    """What is busy or broken is asked again, after as many seconds as it wants."""
    reason = f"answered {answer.status}: {answer.body[:200].decode(errors='replace')}"
    if answer.status not in (408, 425, 429) and answer.status < 500:
        return reject(reason)
    pauses = [int(value) for name, value in answer.headers if name.lower() == "retry-after" and value.isdecimal()]
    return retry(reason, min(pauses[0], 86_400) * 1000 if pauses else None)


def retry(reason: str, after_ms: int | None = None) -> Err:
    """Tries the message again, by the pipeline's own pauses where none is given."""
    return Err(Fault_Retry(Advice(after_ms, reason)))


def reject(reason: str) -> Err:
    """Buries the message with this reason."""
    return Err(Fault_Reject(reason))
