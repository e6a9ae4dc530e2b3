// Traceloop's SDK.
import * as traceloop from '@traceloop/node-server-sdk';
import OpenAI from 'openai';
import { OPENAI, Q, RUN, SPANS, step } from './steps.mjs';

traceloop.initialize({
  appName: RUN, disableBatch: true, baseUrl: SPANS, apiKey: 'x', instrumentModules: { openAI: OpenAI },
  silenceInitializationMessage: true, traceloopSyncEnabled: false,
});
const client = new OpenAI({ baseURL: OPENAI, apiKey: 'x', maxRetries: 0 });
const messages = [{ role: 'user', content: Q }];
const parameters = { type: 'object', properties: { city: { type: 'string' } } };
const tools = [{ type: 'function', function: { name: 'get_weather', description: 'w', parameters } }];
const model = 'gpt-4.1-mini';
const look = async () => (await client.chat.completions.create({ model, messages, tools })).choices[0].message.tool_calls[0].function.name;
await step('chat', async () => (await client.chat.completions.create({ model, messages })).choices[0].message.content);
await step('agent', () => traceloop.withWorkflow({ name: 'weather' }, () => traceloop.withTool({ name: 'lookup' }, look)));
await step('responses', async () => (await client.responses.create({ model, input: Q })).output_text);
await step('error', async () => (await client.chat.completions.create({ model: 'fail-400', messages })).id);
await traceloop.forceFlush();
