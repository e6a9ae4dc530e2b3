// The Vercel AI SDK 5.
import { createOpenAI } from '@ai-sdk/openai2';
import * as ai from 'ai5';
import { z } from 'zod';
import { legacy, run } from './vercel_steps.mjs';

await run({ ai, createOpenAI, z, several: { stopWhen: ai.stepCountIs(4) }, telemetry: legacy });
