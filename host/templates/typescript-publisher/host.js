// What stands in for the host where the publisher is tested: all that it imports of the API.

import { register } from 'node:module'

const module = (text) => `data:text/javascript,${encodeURIComponent(text)}`
const host = module("export const topic = () => 'orders'")

register(module(`export async function resolve(name, context, next) {
  return name.startsWith('gristmill:') ? { url: ${JSON.stringify(host)}, shortCircuit: true } : next(name, context)
}`))
