"""Enqueues callbacks from Python, with pyres: COUNT of them, from transaction FIRST on."""

import os
import sys

from pyres import ResQ

count, first = (int(word) for word in (sys.argv[1:] + ['1000', '1000001'][len(sys.argv) - 1:]))
resq = ResQ('127.0.0.1:' + os.environ.get('REDIS_PORT', '6390'))


def enqueue(*args):
    resq.enqueue_from_string('Callback', 'callbacks', *args)


for transaction in range(first, first + count):
    enqueue(transaction, 'josé', 1, 1 + transaction % 3)
# A publisher whose server is broken, and one that wants no callbacks.
enqueue(first + count, 'josé', 3, 1)
enqueue(first + count + 1, 'josé', 4, 1)
