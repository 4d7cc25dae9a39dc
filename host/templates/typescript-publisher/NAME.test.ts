// The publisher without a broker: `npm test`.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Failure, Fault, HttpReply, Result } from 'gristmill:plugin/types@0.1.0'
import { publishing, setup } from './NAME.js'

type Answer = Result<HttpReply, Failure>

const payload = new TextEncoder().encode('{}')
const answered = (val: Answer) => publishing.answered(payload, [{ tag: 'http', val }])
const answer = (status: number, headers: [string, string][] = []): Answer =>
  ({ tag: 'ok', val: { status, headers, body: new TextEncoder().encode('busy') } })

setup.init('{"url":"https://example.com/hook"}')

test('the payload is posted with its topic', () => {
  const [request] = publishing.publish(payload)
  assert(request?.tag === 'http')
  assert.deepEqual([request.val.method, request.val.url], ['POST', 'https://example.com/hook'])
  assert.deepEqual([request.val.headers, request.val.body], [[['x-topic', 'orders']], { tag: 'payload' }])
})

test('a busy server is asked again when it says', () => {
  assert.deepEqual(answered(answer(204)), [])
  const fault: Fault = { tag: 'retry', val: { afterMs: 7000, reason: 'answered 503: busy' } }
  assert.throws(() => answered(answer(503, [['Retry-After', '7']])), (thrown) => (assert.deepEqual(thrown, fault), true))
})

test('a server that is away is asked again', () => {
  const away: Answer = { tag: 'err', val: { tag: 'unreachable', val: 'no route' } }
  assert.throws(() => answered(away), ({ tag, val }: Fault) => tag === 'retry' && val.reason === 'no route')
})

test('what can never work is rejected', () => {
  const denied: Answer = { tag: 'err', val: { tag: 'denied', val: 'no grant' } }
  for (const [reply, reason] of [[answer(404), 'answered 404: busy'], [denied, 'no grant']] as const) {
    assert.throws(() => answered(reply), ({ tag, val }: Fault) => tag === 'reject' && val === reason)
  }
})

test('a config without a URL is refused', () => {
  assert.throws(() => setup.init('{}'), (error: string) => error.includes('`url`'))
})
