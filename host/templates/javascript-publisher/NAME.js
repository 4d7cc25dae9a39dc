// A Gristmill publisher in JavaScript: posts every message to one URL.

import { topic } from 'gristmill:plugin/envelope@0.1.0'

let url

// Called once per instance, before any message.
export const setup = {
  init(config) {
    ({ url } = JSON.parse(config))
    if (typeof url !== 'string') throw `\`url\` is to be a string, not ${JSON.stringify(url)}`
  },
}

// Called for every message. What is thrown and is no fault is a bug: its text is logged, and the message tried again.
export const publishing = {
  // What the host is to send for this message; nothing means done.
  publish() {
    const headers = [['x-topic', topic()]]
    return [{ tag: 'http', val: { method: 'POST', url, headers, body: { tag: 'payload' } } }]
  },

  // Judges the replies, one for each request; more to send, or nothing when done.
  answered(_payload, replies) {
    replies.forEach(judge)
    return []
  },
}

// Throws what keeps the message from being done.
function judge({ val: reply }) {
  if (reply.tag === 'err') {
    const { tag, val: reason } = reply.val
    throw tag === 'unreachable' ? retry(reason) : reject(reason)
  }
  if (reply.val.status < 200 || reply.val.status >= 300) throw refused(reply.val)
}

// What is busy or broken is asked again, after as many seconds as it wants.
function refused({ status, headers, body }) {
  const reason = `answered ${status}: ${new TextDecoder().decode(body.slice(0, 200))}`
  if (![408, 425, 429].includes(status) && status < 500) return reject(reason)
  const [, pause] = headers.find(([name]) => name.toLowerCase() === 'retry-after') ?? []
  return retry(reason, /^\d+$/.test(pause) ? Math.min(Number(pause), 86_400) * 1000 : undefined)
}

// Tries the message again, by the pipeline's own pauses where none is given.
function retry(reason, afterMs) {
  return { tag: 'retry', val: { afterMs, reason } }
}

// Buries the message with this reason.
function reject(reason) {
  return { tag: 'reject', val: reason }
}
