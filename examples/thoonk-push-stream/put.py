# What the application does, as it was: puts each line of its input into the Thoonk queues that are named.
import os, sys, thoonk

app = thoonk.Thoonk(host='127.0.0.1', port=int(os.environ.get('REDIS_PORT', 6390)))
queues = [app.queue(name) for name in sys.argv[1:]]
for line in sys.stdin:
    for queue in queues:
        queue.put(line.rstrip('\n'))
