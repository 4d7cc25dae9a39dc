// The publishers' servers: slow, as those of the original were (100 workers got 2,500 answers a minute: 2.4 s for each), and flaky.
const http = require('http');

const port = Number(process.env.ENDPOINT_PORT || 8092);
const slow = Number(process.env.ENDPOINT_MS || 2400);
const seen = new Set();
let first, last, answered = 0, failed = 0, open = 0, most = 0;

// Of the callbacks that can work one in twenty fails the first time.
const status = (path, { transaction }) => {
  if (path === '/moved') return 404;
  if (path === '/broken') return 500;
  const again = seen.has(transaction);
  seen.add(transaction);
  return !again && transaction % 20 === 0 ? 503 : 200;
};

const server = http.createServer((request, response) => {
  let body = '';
  request.on('data', some => { body += some; });
  request.on('end', () => {
    first ??= Date.now();
    most = Math.max(most, ++open);
    setTimeout(() => {
      response.statusCode = status(request.url, JSON.parse(body));
      if (response.statusCode === 200) answered++; else failed++;
      response.end();
      open--;
      last = Date.now();
    }, slow * (0.5 + Math.random()));
  });
});
server.keepAliveTimeout = 60000;
server.listen(port, '127.0.0.1', () => console.log(`listens at ${port}`));

let told;
setInterval(() => {
  if (last === told) return;
  told = last;
  const seconds = (last - first) / 1000;
  console.log(`${answered} callbacks done, ${failed} failed, in ${seconds.toFixed(1)} s: ` +
    `${Math.round((answered + failed) / seconds * 60)} a minute; ${most} at once at most`);
}, 1000);
