"""The filter without a broker; README.md says how."""

import json
import unittest

from componentize_py_types import Err
from notification import Filtering, Setup


class Notification(unittest.TestCase):
    def setUp(self):
        Setup().init('{"private": "ip"}')

    def test_what_is_private_goes_and_the_user_becomes_a_header(self):
        verdict = Filtering().filter(b'{"user": "mia", "text": "hello", "ip": "192.0.2.1"}')
        self.assertEqual(verdict.value.headers, [("user", "mia")])
        self.assertEqual(json.loads(verdict.value.payload), {"user": "mia", "text": "hello"})

    def test_what_is_no_notification_is_rejected_with_the_reason(self):
        for payload, reason in [(b"{", "not JSON"), (b'{"user": 7}', "no notification"), (b"[]", "no notification")]:
            with self.assertRaises(Err) as raised:
                Filtering().filter(payload)
            self.assertIn(reason, raised.exception.value.value)

    def test_a_config_that_names_no_field_is_refused(self):
        with self.assertRaises(Err):
            Setup().init('{"private": 7}')
