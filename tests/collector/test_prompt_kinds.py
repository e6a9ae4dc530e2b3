"""Prompts of many kinds: what is filled in makes no new fingerprint, an edit of fixed text makes exactly one."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import pytest

from evalspan.collector.insert.prompt_slots import slots_of_all, templates_of, without_slots
from evalspan.queries.prompt_slots import pieces_of

Prompt = Callable[[random.Random, str], str]
"""A prompt of a kind with something filled in; the word is one of its fixed text."""
ITEMS = [f"- item {name}: in stock.\n" for name in "abcdefghij"]
WORDS = "tent lamp boat rope stove order price return parcel week shop colour size green large small".split()
CHINESE = "帐篷灯船绳炉订单价格退货包裹店颜色大小绿"


def passage(rng: random.Random, sentences: int = 3) -> str:
    return " ".join(
        f"{rng.choice(WORDS).capitalize()} {rng.randrange(10**6)} {' '.join(rng.choices(WORDS, k=8))}."
        for _ in range(sentences)
    )


def day(rng: random.Random) -> str:
    return f"2026-{rng.randrange(1, 13):02d}-{rng.randrange(1, 29):02d}"


def rag(rng: random.Random, word: str) -> str:
    return f"You answer for the shop.\nBe {word}.\n\nContext:\n{passage(rng)}\n{passage(rng)}\n\nToday is {day(rng)}.\nNever promise a refund.\n"


def dated(rng: random.Random, word: str) -> str:
    return f"You are {word}. Today: {day(rng)} {rng.randrange(24)} h {rng.randrange(60)}\nThe customer:\n{rng.choice(WORDS)} {rng.randrange(10**6)}\nAnswer in one sentence.\nSay no prices.\n"


def blocks(rng: random.Random, word: str) -> str:
    """Claude's system blocks, which the collector joins by a line break: rules that are cached, then documents."""
    documents = "\n".join(
        f"<document>\n{passage(rng, rng.randrange(1, 6))}\n</document>" for _ in range(rng.randrange(1, 5))
    )
    return f"You help.\nRules: be {word}, be brief.\nCite the document.\n{documents}\nAnswer from the documents alone."


def long(rng: random.Random, word: str) -> str:
    """Ten thousand tokens of rules with three pages of passages in them."""
    rules = [f"Rule {number}: say {word if number == 400 else 'so'} about {number * 7}.\n" for number in range(800)]
    return "".join(rules[:300]) + passage(rng, 60) + "\n" + "".join(rules[300:])


def listed(rng: random.Random, word: str) -> str:
    chosen = rng.sample(ITEMS, rng.randrange(3, 9))
    return f"You sell tents.\nBe {word}.\nOn offer:\n{''.join(chosen)}Offer nothing else.\nNever promise a refund.\n"


def shuffled(rng: random.Random, word: str) -> str:
    examples = [f"Q: {name}?\nA: about {name}.\n" for name in WORDS[:6]]
    rng.shuffle(examples)
    return f"You are {word}.\nExamples follow.\n{''.join(examples)}Answer likewise.\nBe brief.\n"


def chinese(rng: random.Random, word: str) -> str:
    filled = "。".join("".join(rng.choices(CHINESE, k=20)) for _ in range(4))
    return f"你是商店的助手。请{word}回答。参考资料：{filled}。不要承诺退款。用一句话回答。"


def ending(rng: random.Random, word: str) -> str:
    return f"You are {word}.\nAnswer from what follows.\n{passage(rng, 5)}"


def beginning(rng: random.Random, word: str) -> str:
    return f"{passage(rng, 4)}\nAnswer from the text above.\nBe {word}.\n"


KINDS: dict[str, Prompt] = {
    "passages and a date": rag,
    "dates, times and names": dated,
    "blocks of documents": blocks,
    "ten thousand tokens": long,
    "lists of varying length": listed,
    "examples in changing order": shuffled,
    "no spaces": chinese,
    "passages at the end": ending,
    "passages at the begin": beginning,
}


def fingerprints(prompts: list[str], slots: list[tuple[str, str]]) -> set[str]:
    return {"".join(without_slots(pieces_of(prompt), slots)) for prompt in prompts}


def learned(prompts: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return slots_of_all(templates_of(prompts))


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(5))
def test_what_is_filled_in_makes_no_new_fingerprint_and_an_edit_of_a_word_makes_one(kind: str, seed: int) -> None:
    rng, prompt = random.Random(seed), KINDS[kind]
    old, new = ("简短", "礼貌") if prompt is chinese else ("brief", "polite")
    slots = learned([("", prompt(rng, old)) for _ in range(16)])
    assert slots
    before = fingerprints([prompt(rng, old) for _ in range(40)], slots)
    after = fingerprints([prompt(rng, new) for _ in range(40)], slots)
    assert (len(before), len(after), before & after) == (1, 1, set())


@pytest.mark.parametrize("names", [("answer", "route"), ("", "")], ids=["named", "not named"])
@pytest.mark.parametrize("pair", [(rag, ending), (rag, blocks), (listed, dated), (chinese, rag)])
@pytest.mark.parametrize("seed", range(3))
def test_two_templates_of_one_service_keep_one_fingerprint_each(
    names: tuple[str, str], pair: tuple[Prompt, Prompt], seed: int
) -> None:
    rng = random.Random(seed)
    made = [(name, prompt(rng, "brief")) for _ in range(14) for name, prompt in zip(names, pair, strict=True)]
    rng.shuffle(made)
    slots = learned(made)
    kept = [fingerprints([prompt(rng, "brief") for _ in range(30)], slots) for prompt in pair]
    edited = [fingerprints([prompt(rng, "polite") for _ in range(30)], slots) for prompt in pair]
    assert [len(found) for found in (*kept, *edited)] == [1, 1, 1, 1]
    assert len(set.union(*kept, *edited)) == 4


def test_a_rag_prompt_beside_one_that_never_changes_is_learned() -> None:
    rng = random.Random(1)
    slots = learned([("", "You route.\nAnswer with one word."), *(("", rag(rng, "brief")) for _ in range(8))])
    assert len(fingerprints([rag(rng, "brief") for _ in range(20)], slots)) == 1


def test_fixed_text_of_another_template_between_the_same_pieces_is_not_left_out() -> None:
    rng = random.Random(2)
    filled = [f"You are the shop.\n{passage(rng)}\nBe brief.\n" for _ in range(8)]
    fixed = [f"You are the shop.\nNever say {word}.\nBe brief.\n" for word in ("yes", "yes", "no")]
    slots = learned([*(("answer", text) for text in filled), *(("refuse", text) for text in fixed)])
    assert len(fingerprints(fixed, slots)) == 2


VARIANTS = {
    "two variants beside a passage": lambda rng, n: (
        f"You help.\nBe {('brief', 'polite')[n % 2]}.\n{passage(rng)}\nSay no prices.\n"
    ),
    "an optional sentence beside a passage": lambda rng, n: (
        f"You help.\n{'Be brief.' * (n % 3 == 0)}\n{passage(rng)}\nSay no prices.\n"
    ),
    "three personas": lambda _, n: f"You are {('ann', 'bob', 'eve')[n % 3]}.\nHelp.\n",
}


@pytest.mark.parametrize("what", VARIANTS)
def test_a_few_variants_of_fixed_text_stay_apart(what: str) -> None:
    rng = random.Random(3)
    made = [VARIANTS[what](rng, n) for n in range(16)]
    slots = learned([("", text) for text in made])
    variants = {n: fingerprints([VARIANTS[what](rng, n)], slots) for n in range(6)}
    assert variants[0].isdisjoint(variants[1])


def test_learning_from_long_prompts_takes_little_time() -> None:
    rng = random.Random(4)
    prompts = [("", long(rng, "brief")) for _ in range(48)]
    begun = time.process_time()
    assert learned(prompts)
    assert time.process_time() - begun < 3
