// The Vercel AI SDK: its own telemetry, sent by an exporter of OpenTelemetry's.
import { createOpenAI } from '@ai-sdk/openai';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BatchSpanProcessor, NodeTracerProvider } from '@opentelemetry/sdk-trace-node';
import { embedMany, generateText, stepCountIs, streamText, tool } from 'ai';
import { z } from 'zod';
import { OPENAI, Q, RUN, SPANS, step } from './steps.mjs';

const exporter = new OTLPTraceExporter({ url: `${SPANS}/v1/traces` });
const provider = new NodeTracerProvider({
  resource: resourceFromAttributes({ 'service.name': RUN }),
  spanProcessors: [new BatchSpanProcessor(exporter)],
});
provider.register();

const openai = createOpenAI({ baseURL: OPENAI, apiKey: 'x' });
const telemetry = { experimental_telemetry: { isEnabled: true, functionId: 'weather', metadata: { userId: 'u-1', sessionId: 'sess-1' } } };
const get_weather = tool({ description: 'w', inputSchema: z.object({ city: z.string() }), execute: async ({ city }) => `sunny in ${city}` });
const model = openai('gpt-4.1-mini');
await step('chat', async () => (await generateText({ model, system: 'Be brief.', prompt: Q, ...telemetry })).text);
await step('agent', async () => (await generateText({ model, prompt: Q, tools: { get_weather }, stopWhen: stepCountIs(4), ...telemetry })).text);
await step('stream', async () => { let all = ''; for await (const part of streamText({ model, prompt: Q, ...telemetry }).textStream) all += part; return all; });
await step('embed', async () => (await embedMany({ model: openai.embedding('text-embedding-3-small'), values: ['a', 'b'], ...telemetry })).embeddings.length);
await step('error', async () => (await generateText({ model: openai('fail-400'), prompt: Q, maxRetries: 0, ...telemetry })).text);
await provider.forceFlush();
await provider.shutdown();
