import { genkit, z } from 'genkit';
import { enableTelemetry } from 'genkit/tracing';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base';
const SPANS = process.argv[3];
await enableTelemetry({ spanProcessors: [new SimpleSpanProcessor(new OTLPTraceExporter({ url: SPANS + '/v1/traces' }))] });
const ai = genkit({});
let n = 0;
ai.defineModel({ name: 'openai/gpt-4.1-mini', supports: { tools: true, multiturn: true, systemRole: true } }, async (req, cb) => {
  n++;
  const done = req.messages.some(m => m.content.some(p => p.toolResponse));
  if (req.messages.some(m => m.content.some(p => p.text === 'fail'))) throw new Error('scripted 400');
  const content = done ? [{ text: 'It is sunny in Lisbon.' }] : [{ toolRequest: { name: 'get_weather', ref: 'c1', input: { city: 'Lisbon' } } }];
  return { message: { role: 'model', content }, finishReason: 'stop', usage: { inputTokens: 1000 + n, outputTokens: 100 + n, totalTokens: 1100 + 2 * n, thoughtsTokens: 3, cachedContentTokens: 5 } };
});
const weather = ai.defineTool({ name: 'get_weather', description: 'Weather', inputSchema: z.object({ city: z.string() }), outputSchema: z.string() }, async () => 'sunny');
const embedder = ai.defineEmbedder({ name: 'openai/text-embedding-3-small' }, async (docs) => ({ embeddings: [{ embedding: [0.1, 0.2] }] }));
const retriever = ai.defineRetriever({ name: 'docs' }, async (q) => ({ documents: [{ content: [{ text: 'Lisbon is sunny.' }] }] }));
const flow = ai.defineFlow({ name: 'support', inputSchema: z.string(), outputSchema: z.string() }, async (q) => {
  await ai.embed({ embedder, content: q });
  await ai.retrieve({ retriever, query: q });
  const r = await ai.generate({ model: 'openai/gpt-4.1-mini', system: 'You are a weather agent.', prompt: q, tools: [weather], config: { temperature: 0.5 } });
  try { await ai.generate({ model: 'openai/gpt-4.1-mini', prompt: 'fail' }); } catch {}
  return r.text;
});
console.log('answer', await flow('What is the weather in Lisbon?'));
const { flushTracing } = await import('genkit/tracing'); await flushTracing(); await new Promise(r => setTimeout(r, 1500));
process.exit(0);
