// Reads through the SQL port with the official Node client: npm i @clickhouse/client && node smoke.mjs http://127.0.0.1:8123
import { createClient } from '@clickhouse/client'
const c = createClient({ url: process.argv[2], compression: { response: true, request: true }, database: 'evalspan' })
console.log(await c.ping())
const r = await c.query({ query: 'SELECT number AS n, {s:String} AS s FROM numbers(3)', query_params: { s: "it's" }, format: 'JSONEachRow' })
console.log(await r.json())
const big = await c.query({ query: 'SELECT number FROM numbers(300000)', format: 'JSONCompactEachRow' })
let n = 0; for await (const rows of big.stream()) n += rows.length; console.log(n)
try { await c.query({ query: 'SELECT nope' }) } catch (e) { console.log(e.constructor.name, e.code, e.type) }
try { await c.command({ query: 'DROP TABLE spans' }) } catch (e) { console.log(e.code, e.message.slice(0, 80)) }
const ws = await c.query({ query: 'SHOW TABLES', format: 'JSON' }); console.log((await ws.json()).rows)
await c.close()
