// What a page in a browser does: listens to what is said about number 42, and shows each event.
const { EventSource } = require('eventsource');

const events = new EventSource(`${process.env.NGINX_URL || 'http://127.0.0.1:8088'}/sub/42`);
events.onopen = () => console.log('listens to 42');
events.onerror = () => console.log('lost; connects again by itself');
for (const kind of ['posts', 'private']) {
  events.addEventListener(kind, event => console.log(`${kind} ${event.data}`));
}
