"""A real app of one framework, run by the matrix."""

# mypy: ignore-errors
# ruff: noqa: E402
from harness import Q, end, start, step

start()
from crewai import LLM, Agent, Crew, Task
from crewai.tools import tool


@tool("get_weather")
def get_weather(city: str) -> str:
    "Weather of a city."
    return f"sunny in {city}"


def crew(model="openai/gpt-4.1-mini", stream=False):
    agent = Agent(
        role="Forecaster",
        goal="Tell the weather",
        backstory="Old hand",
        llm=LLM(model=model, stream=stream),
        tools=[get_weather],
        max_iter=4,
    )
    task = Task(description=Q, expected_output="One sentence", agent=agent)
    return str(Crew(agents=[agent], tasks=[task], verbose=False).kickoff())


step("llm", lambda: LLM(model="openai/gpt-4.1-mini").call(Q))
step("crew", crew)
step("crew_stream", lambda: crew(stream=True))
step("error", lambda: LLM(model="openai/gpt-fail-400").call(Q))
end()
