// A Gristmill publisher in TypeScript: posts every message to one URL.

import { topic } from 'gristmill:plugin/envelope@0.1.0'
import type * as Publishing from 'gristmill:plugin/publishing@0.1.0'
import type * as Setup from 'gristmill:plugin/setup@0.1.0'
import type { Fault, HttpReply, Reply } from 'gristmill:plugin/types@0.1.0'

let url: string

// Called once per instance, before any message.
export const setup: typeof Setup = {
  init(config) {
    const { url: given }: { url?: unknown } = JSON.parse(config)
    if (typeof given !== 'string') throw `\`url\` is to be a string, not ${JSON.stringify(given)}`
    url = given
  },
}

// Called for every message. What is thrown and is no fault is a bug: its text is logged, and the message tried again.
export const publishing: typeof Publishing = {
  // What the host is to send for this message; nothing means done.
  publish() {
    const headers: [string, string][] = [['x-topic', topic()]]
    return [{ tag: 'http', val: { method: 'POST', url, headers, body: { tag: 'payload' } } }]
  },

  // Judges the replies, one for each request; more to send, or nothing when done.
  answered(_payload, replies) {
    replies.forEach(judge)
    return []
  },
}

// Throws what keeps the message from being done.
function judge(reply: Reply) {
  // What was asked by HTTP is answered like that.
  if (reply.tag !== 'http') return
  if (reply.val.tag === 'err') {
    const { tag, val: reason } = reply.val.val
    throw tag === 'unreachable' ? retry(reason) : reject(reason)
  }
  const { val: answer } = reply.val
  if (answer.status < 200 || answer.status >= 300) throw refused(answer)
}

// What is busy or broken is asked again, after as many seconds as it wants.
function refused({ status, headers, body }: HttpReply): Fault {
  const reason = `answered ${status}: ${new TextDecoder().decode(body.slice(0, 200))}`
  if (![408, 425, 429].includes(status) && status < 500) return reject(reason)
  const [, pause = ''] = headers.find(([name]) => name.toLowerCase() === 'retry-after') ?? []
  return retry(reason, /^\d+$/.test(pause) ? Math.min(Number(pause), 86_400) * 1000 : undefined)
}

// Tries the message again, by the pipeline's own pauses where none is given.
function retry(reason: string, afterMs?: number): Fault {
  return { tag: 'retry', val: { afterMs, reason } }
}

// Buries the message with this reason.
function reject(reason: string): Fault {
  return { tag: 'reject', val: reason }
}
