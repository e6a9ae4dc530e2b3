// What is around every recipe: where the model is, where spans go, and what each step gave.
export const { RUN, SERVER } = process.env;
export const OPENAI = `${SERVER}/r/${RUN}/v1`;
export const SPANS = `${SERVER}/o/${RUN}`;
export const Q = 'What is the weather in Lisbon?';
const now = () => Number(process.hrtime.bigint() - origin) + Date.now0;
const origin = process.hrtime.bigint();
Date.now0 = Date.now() * 1e6;
export const step = async (name, run) => {
  const began = now();
  let how = 'ok', result;
  try { result = await run(); } catch (error) { how = 'raised'; result = error.name; }
  const told = { step: name, how, result: String(result).slice(0, 300), began, ended: now() };
  console.log(JSON.stringify(told).replace('{"step":', '{"step": '));
  await new Promise((resolve) => setTimeout(resolve, 20));
};
