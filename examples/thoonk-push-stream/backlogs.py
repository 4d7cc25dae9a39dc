# What somebody does who looks after failures, as it was: takes them out of the queue `backlogs`, and prints them.
import os, thoonk
from thoonk.feeds.queue import Empty

app = thoonk.Thoonk(host='127.0.0.1', port=int(os.environ.get('REDIS_PORT', 6390)))
backlogs = app.queue('backlogs')
while True:
    try:
        print(backlogs.get(timeout=1))
    except Empty:
        break
