"""A Gristmill filter in Python: checks a notification, drops what is private, and says whom it is for."""

import json

from componentize_py_types import Err
from wit_world.imports.types import Change, Fault_Reject, Verdict, Verdict_Replace

private = "ip"


class Setup:
    """Called once per instance, before any message."""

    def init(self, config: str) -> None:
        global private
        private = json.loads(config).get("private", private)
        if not isinstance(private, str):
            raise Err(f"`private` is to be the name of a field, not {private!r}")


class Filtering:
    """Called for every message. What is raised and not caught is a bug: its text is logged, and the message tried again."""

    def filter(self, payload: bytes) -> Verdict:
        try:
            notification = json.loads(payload)
        except ValueError as error:
            raise reject(f"not JSON: {error}")
        match notification:
            case {"user": str(user), "text": str()}:
                notification.pop(private, None)
            case _:
                raise reject("no notification: `user` and `text` are to be strings")
        return Verdict_Replace(Change(None, [("user", user)], json.dumps(notification).encode()))


def reject(reason: str) -> Err:
    """Buries the message with this reason."""
    return Err(Fault_Reject(reason))
