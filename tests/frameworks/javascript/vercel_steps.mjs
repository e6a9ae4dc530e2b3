// One program for every release of the Vercel AI SDK: what differs between them is handed in.
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BatchSpanProcessor, NodeTracerProvider } from '@opentelemetry/sdk-trace-node';
import { OPENAI, Q, RUN, SPANS, step } from './steps.mjs';

const exporter = new OTLPTraceExporter({ url: `${SPANS}/v1/traces` });
const provider = new NodeTracerProvider({
  resource: resourceFromAttributes({ 'service.name': RUN }),
  spanProcessors: [new BatchSpanProcessor(exporter)],
});
provider.register();

export const run = async ({ ai, createOpenAI, z, several, telemetry, schema = 'inputSchema' }) => {
  const openai = createOpenAI({ baseURL: OPENAI, apiKey: 'x', compatibility: 'strict' });
  const get_weather = ai.tool({ description: 'w', [schema]: z.object({ city: z.string() }), execute: async ({ city }) => `sunny in ${city}` });
  const model = openai('gpt-4.1-mini');
  const joined = async (parts) => { let all = ''; for await (const part of parts) all += part; return all; };
  await step('chat', async () => (await ai.generateText({ model, system: 'Be brief.', prompt: Q, ...telemetry })).text);
  await step('chat_responses', async () => (await ai.generateText({ model: openai.responses('gpt-4.1-mini'), prompt: Q, ...telemetry })).text);
  await step('agent', async () => (await ai.generateText({ model, prompt: Q, tools: { get_weather }, ...several, ...telemetry })).text);
  await step('stream', async () => joined(ai.streamText({ model, prompt: Q, ...telemetry }).textStream));
  await step('agent_stream', async () => joined(ai.streamText({ model, prompt: Q, tools: { get_weather }, ...several, ...telemetry }).textStream));
  await step('object', async () => JSON.stringify((await ai.generateObject({ model, prompt: Q, schema: z.object({ city: z.string() }), ...telemetry })).object));
  await step('embed', async () => (await ai.embedMany({ model: openai.embedding('text-embedding-3-small'), values: ['a', 'b'], ...telemetry })).embeddings.length);
  await step('error', async () => (await ai.generateText({ model: openai('fail-400'), prompt: Q, maxRetries: 0, ...telemetry })).text);
  await provider.forceFlush();
  await provider.shutdown();
};

export const legacy = { experimental_telemetry: { isEnabled: true, functionId: 'weather', metadata: { userId: 'u-1', sessionId: 'sess-1' } } };
