//! From a connection to a subscriber: reads the head of a request, checks what it may, and answers; what does not read channels
//! goes to hyper.

use super::{
    access::{Origin, Rights},
    audience::written,
    handed,
    head::{Bad, Head, Subscription, Transport},
    hub::{Joined, Refused},
    limits::Place,
    message::{Form, Notice, Voice},
    poll::Poll,
    push_stream::{self, Mode},
    shard::Shard,
    subscriber::Subscriber,
    websocket,
};
use crate::event;
use bytes::Bytes;
use std::{net::SocketAddr, rc::Rc, sync::Arc};
use tokio::{
    net::{TcpSocket, TcpStream},
    time::timeout,
};

/// Connections that wait to be accepted.
const WAITING: u32 = 4_096;

/// Sockets at `address`, one for each shard, among which the system shares connections out.
///
/// # Errors
/// Where another program listens there, or the system refuses.
pub(super) fn bind(
    address: SocketAddr,
    shards: usize,
    send_buffer: u32,
) -> std::io::Result<Vec<std::net::TcpListener>> {
    // Alone first: with others, the port could be shared with a program that has nothing to do with this one.
    let alone = std::net::TcpListener::bind(address)?;
    let address = alone.local_addr()?;
    drop(alone);
    (0..shards).map(|_| socket(address, shards > 1, send_buffer)).collect()
}

/// What is set here, connections inherit.
fn socket(address: SocketAddr, shared: bool, send_buffer: u32) -> std::io::Result<std::net::TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(shared)?;
    // Else the system grows what it holds for a client that takes nothing to megabytes. It doubles what it is told.
    socket.set_send_buffer_size(send_buffer / 2)?;
    socket.set_nodelay(true)?;
    socket.bind(address)?;
    socket.listen(WAITING)?.into_std()
}

/// Answers requests until one reads channels; nothing when the connection is over.
pub(super) async fn greet(shard: &Rc<Shard>, mut stream: TcpStream, place: Place) -> Option<Rc<Subscriber>> {
    let mut begun = Vec::new();
    loop {
        let head = match read_head(shard, &stream, &mut begun).await {
            Ok(head) => head?,
            Err(Bad { status, why }) => {
                refuse(&stream, status, why);
                return None;
            }
        };
        let dialects = shard.settings().dialects();
        match head.subscription(dialects) {
            Ok(Some(wanted)) => {
                let rest = begun.split_off(head.length.min(begun.len()));
                return subscribe(shard, stream, place, &head, wanted, &rest);
            }
            Ok(None) => (stream, begun) = handed::serve(shard, stream, begun).await?,
            Err(Bad { status, why }) => {
                refuse(&stream, status, why);
                return None;
            }
        }
    }
}

/// Reads on until a head is whole; nothing where the client is gone or too slow.
async fn read_head(shard: &Shard, stream: &TcpStream, begun: &mut Vec<u8>) -> Result<Option<Head>, Bad> {
    let (longest, patience) = {
        let settings = shard.settings();
        (settings.edge.limits.head_bytes, settings.edge.timeouts.head)
    };
    let read = async {
        loop {
            if let Some(head) = Head::parse(begun)? {
                return Ok(Some(head));
            }
            if begun.len() >= longest {
                return Err(Bad {
                    status: 431,
                    why: "the head of the request is longer than `limits.head_kib` allows",
                });
            }
            if stream.readable().await.is_err() {
                return Ok(None);
            }
            begun.reserve(1_024);
            match stream.try_read_buf(begun) {
                Ok(0) => return Ok(None),
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(_) => return Ok(None),
            }
        }
    };
    timeout(patience, read).await.unwrap_or(Ok(None))
}

/// Seats the client, or says why not.
fn subscribe(
    shard: &Rc<Shard>,
    stream: TcpStream,
    place: Place,
    head: &Head,
    wanted: Subscription,
    rest: &[u8],
) -> Option<Rc<Subscriber>> {
    let admitted = admit(shard, head, &wanted);
    let (origin, rights) = match admitted {
        Ok(admitted) => admitted,
        Err((status, why)) => {
            event::edge_refused(&shard.shared().told, &why);
            turn_down(&stream, head, wanted.transport, status, &why);
            return None;
        }
    };
    let joined = match shard.shared().hub.join(shard.index(), &wanted.channels, &wanted.start) {
        Ok(joined) => joined,
        Err(refused) => {
            let status = if refused == Refused::Name { 400 } else { 503 };
            turn_down(&stream, head, wanted.transport, status, &refused.to_string());
            return None;
        }
    };
    let form = form(&wanted);
    let may_speak = may_speak(shard, &wanted, &rights);
    let poll = (wanted.transport == Transport::Poll || wanted.polled.is_some()).then(|| {
        let Joined { sequence: since, recovered, .. } = joined;
        let (origin, stays) = (origin.clone(), head.stays && rest.is_empty());
        Box::new(Poll { origin, stays, recovered, since, polled: wanted.polled })
    });
    let subscriber = Subscriber::new(shard, stream, place, form, rights.until, may_speak, poll);
    let seat = |channel: &Arc<str>| {
        let audience = shard.audience(channel);
        let seat = audience.enter(Rc::clone(&subscriber), joined.sequence);
        (audience, seat)
    };
    subscriber.sit(wanted.channels.iter().map(seat).collect());
    shard.watch(&subscriber);
    event::edge_subscribed(wanted.transport.word());
    begin(shard, &subscriber, head, &origin, &joined);
    if form.is_websocket() && !rest.is_empty() {
        subscriber.hear(shard, rest);
    }
    Some(subscriber)
}

/// Whether what the client says over its WebSocket is published.
fn may_speak(shard: &Shard, wanted: &Subscription, rights: &Rights) -> bool {
    let settings = shard.settings();
    let Some(dialect) = settings.edge.push_stream.as_ref() else { return false };
    wanted.transport == Transport::PushStream(Mode::WebSocket)
        && (dialect.open || wanted.channels.iter().all(|channel| rights.may_publish(channel)))
}

/// How the page may read, and what the client may; or the status and the reason why it may not.
fn admit(shard: &Shard, head: &Head, wanted: &Subscription) -> Result<(Origin, Rights), (u16, String)> {
    let settings = shard.settings();
    let Some(origin) = settings.access.origin(head) else {
        return Err((403, "pages of this origin may not connect".to_owned()));
    };
    let rights = settings.access.rights(head).map_err(|invalid| (401, invalid.to_string()))?;
    let hub = &shard.shared().hub;
    let closed = wanted.channels.iter().find(|channel| !rights.may_read(channel) && !hub.is_open(channel));
    match (closed, rights.until) {
        (None, _) => Ok((origin, rights)),
        (Some(_), None) => Err((401, "this channel is read with a token that names it".to_owned())),
        (Some(_), Some(_)) => Err((403, "the token does not name this channel".to_owned())),
    }
}

fn form(wanted: &Subscription) -> Form {
    match wanted.transport {
        Transport::Events if wanted.channels.len() > 1 => Form::NamedEvents,
        Transport::Events => Form::Events,
        Transport::Lines => Form::Lines,
        Transport::WebSocket => Form::Frames,
        Transport::Poll => Form::Answer,
        Transport::PushStream(mode) => mode.form(wanted.polled.as_ref()),
    }
}

/// What the client gets first: the answer's head, whether it has recovered, and what it has missed.
fn begin(shard: &Shard, subscriber: &Subscriber, head: &Head, origin: &Origin, joined: &Joined) {
    let (form, settings) = (subscriber.form(), shard.settings());
    let voice = settings.voice(shard.epoch());
    if let Some(poll) = subscriber.poll_of() {
        match joined.missed.last() {
            Some(last) => subscriber.send(&missed(form, voice, joined), last),
            None if joined.recovered == Some(false) || poll.is_at_once() => {
                subscriber.reply(poll.nothing(shard.epoch()));
            }
            None => {}
        }
        return;
    }
    let mut out = Vec::new();
    out.extend(answer_head(form, head, origin).as_bytes());
    if matches!(form, Form::Events | Form::NamedEvents) {
        out.extend(format!("retry: {}\n", settings.edge.reconnect.as_millis()).as_bytes());
    }
    // Where something follows, that tells where the client stands.
    let stands = joined.missed.is_empty().then_some(joined.sequence);
    form.notice(&mut out, shard.epoch(), stands, Notice::Subscribed { recovered: joined.recovered });
    out.extend(missed(form, voice, joined));
    subscriber.begin(out.into());
}

fn missed(form: Form, voice: Voice<'_>, joined: &Joined) -> Bytes {
    written(voice, form, joined.missed.iter().map(|message| &**message))
}

/// `X-Accel-Buffering` tells a proxy that is nginx to hand on what comes.
fn answer_head(form: Form, head: &Head, origin: &Origin) -> String {
    let kind = match form {
        Form::Frames => return websocket::switching(head.header("sec-websocket-key").unwrap_or_default()),
        Form::PushStream(kind) => return push_stream::begin(kind, head, origin),
        Form::Events | Form::NamedEvents => "text/event-stream",
        Form::Lines | Form::Answer => "application/x-ndjson",
    };
    let origin = origin.headers();
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncache-control: no-cache\r\nx-accel-buffering: no\r\nconnection: close\r\n{origin}\r\n"
    )
}

/// Refuses one whose head is good, where its dialect has a way of its own.
fn turn_down(stream: &TcpStream, head: &Head, transport: Transport, status: u16, why: &str) {
    match transport {
        Transport::PushStream(Mode::WebSocket) => end_with(stream, &push_stream::turned_down(head, status, why)),
        _ => refuse(stream, status, why),
    }
}

/// Answers with a line that says why, and ends the connection.
pub(super) fn refuse(stream: &TcpStream, status: u16, why: &str) {
    let reason = http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("");
    let more = match status {
        401 => "www-authenticate: Bearer\r\n",
        405 => "allow: GET, OPTIONS\r\n",
        426 => "upgrade: websocket\r\nsec-websocket-version: 13\r\n",
        429 | 503 => "retry-after: 5\r\n",
        _ => "",
    };
    let length = why.len() + 1;
    let answer = format!(
        "HTTP/1.1 {status} {reason}\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {length}\r\n{more}connection: close\r\n\r\n{why}\n"
    );
    end_with(stream, answer.as_bytes());
}

/// A socket on which nothing was written yet takes so little, and whoever is gone needs no answer.
fn end_with(stream: &TcpStream, answer: &[u8]) {
    drop(stream.try_write(answer));
    rustix::net::shutdown(stream, rustix::net::Shutdown::Write).unwrap_or_default();
}
