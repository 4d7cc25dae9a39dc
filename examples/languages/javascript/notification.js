// A Gristmill filter in JavaScript: checks a notification, drops what is private, and says whom it is for.

let secret = 'ip'

// Called once per instance, before any message.
export const setup = {
  init(config) {
    ({ private: secret = secret } = JSON.parse(config))
    if (typeof secret !== 'string') throw `\`private\` is to be the name of a field, not ${JSON.stringify(secret)}`
  },
}

// Called for every message. What is thrown and is no fault is a bug: its text is logged, and the message tried again.
export const filtering = {
  filter(payload) {
    const notification = parse(payload)
    const { user, text } = notification ?? {}
    if (typeof user !== 'string' || typeof text !== 'string') {
      throw reject('no notification: `user` and `text` are to be strings')
    }
    delete notification[secret]
    const headers = [['user', user]]
    return { tag: 'replace', val: { headers, payload: new TextEncoder().encode(JSON.stringify(notification)) } }
  },
}

function parse(payload) {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(payload))
  } catch (error) {
    throw reject(`not JSON: ${error.message}`)
  }
}

// Buries the message with this reason.
function reject(reason) {
  return { tag: 'reject', val: reason }
}
