// What a page in a browser does: listens to the channel of one gauge, and shows each hit with the second in which it came.
const Pusher = require('pusher-js');

const pusher = new Pusher('278d425bdf160c739803', {
  wsHost: '127.0.0.1', wsPort: Number(process.env.PUSHER_PORT || 6001), forceTLS: false, cluster: 'none', enabledTransports: ['ws'],
});
const say = text => console.log(`${new Date().toISOString().slice(11, 23)} ${text}`);
const channel = pusher.subscribe('gauge-1');
pusher.connection.bind('state_change', ({ current }) => say(`is ${current}`));
channel.bind('pusher:subscription_succeeded', () => say('listens to gauge-1'));
channel.bind('hit', hit => say(`hit ${JSON.stringify(hit)}`));
