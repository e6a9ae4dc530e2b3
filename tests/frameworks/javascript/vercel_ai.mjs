// The Vercel AI SDK 6: its own telemetry, sent by an exporter of OpenTelemetry's.
import { createOpenAI } from '@ai-sdk/openai';
import * as ai from 'ai';
import { z } from 'zod';
import { legacy, run } from './vercel_steps.mjs';

await run({ ai, createOpenAI, z, several: { stopWhen: ai.stepCountIs(4) }, telemetry: legacy });
