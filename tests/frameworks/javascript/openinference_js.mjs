// OpenInference's instrumentation of openai-node.
import { OpenAIInstrumentation } from '@arizeai/openinference-instrumentation-openai';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BatchSpanProcessor, NodeTracerProvider } from '@opentelemetry/sdk-trace-node';
import OpenAI from 'openai';
import { OPENAI, Q, RUN, SPANS, step } from './steps.mjs';

const provider = new NodeTracerProvider({
  resource: resourceFromAttributes({ 'service.name': RUN }),
  spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter({ url: `${SPANS}/v1/traces` }))],
});
provider.register();
new OpenAIInstrumentation({ tracerProvider: provider }).manuallyInstrument(OpenAI);

const client = new OpenAI({ baseURL: OPENAI, apiKey: 'x', maxRetries: 0 });
const messages = [{ role: 'user', content: Q }];
const model = 'gpt-4.1-mini';
await step('chat', async () => (await client.chat.completions.create({ model, messages })).choices[0].message.content);
await step('stream', async () => {
  let all = '';
  for await (const part of await client.chat.completions.create({ model, messages, stream: true, stream_options: { include_usage: true } })) all += part.choices[0]?.delta?.content ?? '';
  return all;
});
await step('responses', async () => (await client.responses.create({ model, input: Q })).output_text);
await step('embed', async () => (await client.embeddings.create({ model: 'text-embedding-3-small', input: ['a', 'b'] })).data.length);
await step('error', async () => (await client.chat.completions.create({ model: 'fail-400', messages })).id);
await provider.forceFlush();
await provider.shutdown();
