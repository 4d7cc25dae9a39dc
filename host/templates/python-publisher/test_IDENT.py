"""The publisher without a broker; README.md says how."""

import unittest
from unittest.mock import patch

from componentize_py_types import Err, Ok
from IDENT import Publishing, Setup
from wit_world.imports.types import Body_Payload, Failure_Denied, Failure_Unreachable, HttpReply, Reply_Http


def answered(status, headers=()):
    return Publishing().answered(b"{}", [Reply_Http(Ok(HttpReply(status, list(headers), b"busy")))])


class Hook(unittest.TestCase):
    def setUp(self):
        Setup().init('{"url": "https://example.com/hook"}')

    @patch("IDENT.envelope.topic", return_value="orders")
    def test_the_payload_is_posted_with_its_topic(self, _topic):
        [request] = Publishing().publish(b"{}")
        self.assertEqual((request.value.method, request.value.url), ("POST", "https://example.com/hook"))
        self.assertEqual((request.value.headers, request.value.body), ([("x-topic", "orders")], Body_Payload()))

    def test_a_busy_server_is_asked_again_when_it_says(self):
        self.assertEqual(answered(204), [])
        with self.assertRaises(Err) as raised:
            answered(503, [("Retry-After", "7")])
        advice = raised.exception.value.value
        self.assertEqual((advice.after_ms, advice.reason), (7000, "answered 503: busy"))

    def test_what_can_never_work_is_rejected(self):
        with self.assertRaises(Err) as raised:
            answered(404)
        self.assertEqual(raised.exception.value.value, "answered 404: busy")
        with self.assertRaises(Err) as raised:
            Publishing().answered(b"{}", [Reply_Http(Err(Failure_Denied("no grant")))])
        self.assertEqual(raised.exception.value.value, "no grant")

    def test_a_server_that_is_away_is_asked_again(self):
        with self.assertRaises(Err) as raised:
            Publishing().answered(b"{}", [Reply_Http(Err(Failure_Unreachable("no route")))])
        self.assertEqual(raised.exception.value.value.reason, "no route")

    def test_a_config_without_a_url_is_refused(self):
        with self.assertRaises(Err):
            Setup().init("{}")
