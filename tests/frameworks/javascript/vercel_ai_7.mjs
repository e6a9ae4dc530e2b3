// The Vercel AI SDK 7, whose spans come from a package of their own under the names of the conventions.
import { createOpenAI } from '@ai-sdk/openai4';
import { OpenTelemetry } from '@ai-sdk/otel';
import * as ai from 'ai7';
import { z } from 'zod';
import { run } from './vercel_steps.mjs';

ai.registerTelemetry(new OpenTelemetry({ runtimeContext: true, usage: true, embedding: true, providerMetadata: true }));
const telemetry = {
  telemetry: { functionId: 'weather', includeRuntimeContext: { sessionId: true, userId: true } },
  runtimeContext: { sessionId: 'sess-1', userId: 'u-1' },
};
await run({ ai, createOpenAI, z, several: { stopWhen: ai.isStepCount(4) }, telemetry });
