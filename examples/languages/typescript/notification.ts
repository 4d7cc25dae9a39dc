// A Gristmill filter in TypeScript: checks a notification, drops what is private, and says whom it is for.

import type * as Filtering from 'gristmill:plugin/filtering@0.1.0'
import type * as Setup from 'gristmill:plugin/setup@0.1.0'
import type { Fault } from 'gristmill:plugin/types@0.1.0'

interface Notification {
  user: string
  text: string
  [field: string]: unknown
}

let secret = 'ip'

// Called once per instance, before any message.
export const setup: typeof Setup = {
  init(config) {
    const { private: field = secret }: { private?: unknown } = JSON.parse(config)
    if (typeof field !== 'string') throw `\`private\` is to be the name of a field, not ${JSON.stringify(field)}`
    secret = field
  },
}

// Called for every message. What is thrown and is no fault is a bug: its text is logged, and the message tried again.
export const filtering: typeof Filtering = {
  filter(payload) {
    const notification = parse(payload)
    if (!isNotification(notification)) throw reject('no notification: `user` and `text` are to be strings')
    const { [secret]: _, ...rest } = notification
    const headers: [string, string][] = [['user', notification.user]]
    return { tag: 'replace', val: { headers, payload: new TextEncoder().encode(JSON.stringify(rest)) } }
  },
}

function parse(payload: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(payload))
  } catch (error) {
    throw reject(`not JSON: ${(error as Error).message}`)
  }
}

function isNotification(value: unknown): value is Notification {
  const { user, text } = (value ?? {}) as Partial<Notification>
  return typeof user === 'string' && typeof text === 'string'
}

// Buries the message with this reason.
function reject(reason: string): Fault {
  return { tag: 'reject', val: reason }
}
