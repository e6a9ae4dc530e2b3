// The Vercel AI SDK 4.
import { createOpenAI } from '@ai-sdk/openai1';
import * as ai from 'ai4';
import { z } from 'zod3';
import { legacy, run } from './vercel_steps.mjs';

await run({ ai, createOpenAI, z, several: { maxSteps: 4 }, telemetry: legacy, schema: 'parameters' });
