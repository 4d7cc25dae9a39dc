// Enqueues callbacks from Node, with node-resque: COUNT of them, from transaction FIRST on.
const { Queue } = require('node-resque');

const [count, first] = [process.argv[2] || 1000, process.argv[3] || 1].map(Number);
const connection = { pkg: 'ioredis', host: '127.0.0.1', port: Number(process.env.REDIS_PORT || 6390) };

(async () => {
  const queue = new Queue({ connection });
  await queue.connect();
  for (let transaction = first; transaction < first + count; transaction++) {
    await queue.enqueue('callbacks', 'Callback', [transaction, 'mia', 1, 1 + transaction % 3]);
  }
  // A publisher that has moved, and one that nobody knows.
  await queue.enqueue('callbacks', 'Callback', [first + count, 'mia', 2, 1]);
  await queue.enqueue('callbacks', 'Callback', [first + count + 1, 'mia', 9, 1]);
  await queue.end();
})();
