// Reads through the SQL port as an application would and prints what came as JSON: node reads.mjs http://127.0.0.1:8123
import { createClient } from '@clickhouse/client'

const client = createClient({
  url: process.argv[2],
  database: 'evalspan',
  compression: { response: true, request: true },
  clickhouse_settings: { max_execution_time: 20 },
})
const found = {}
found.ping = (await client.ping()).success
const bound = await client.query({
  query: 'SELECT number AS n, {s:String} AS s FROM numbers(3)',
  query_params: { s: "it's\n" },
  format: 'JSONEachRow',
})
found.rows = await bound.json()
found.streamed = 0
const big = await client.query({ query: 'SELECT number FROM numbers(300000)', format: 'JSONCompactEachRow' })
for await (const rows of big.stream()) found.streamed += rows.length
const refused = async (run) => run().then(() => 'nothing', (error) => `${error.code} ${error.type}`)
found.unknown = await refused(() => client.query({ query: 'SELECT nope' }))
found.writing = await refused(() => client.command({ query: 'DROP TABLE spans' }))
found.inserting = await refused(() => client.insert({ table: 'spans', values: [{ name: 'x' }], format: 'JSONEachRow' }))
found.late = await refused(async () => {
  const late = await client.query({ query: 'SELECT throwIf(number = 900000) FROM numbers(1000000)', format: 'JSONEachRow' })
  await late.json()
})
const tables = await client.query({ query: 'SHOW TABLES', format: 'JSON' })
found.tables = (await tables.json()).data.map((row) => row.name)
await client.close()
console.log(JSON.stringify(found))
