#!/usr/bin/env python3
"""Compares `loadline chat --template-jsonl` with Jinja2 on random templates and conversations.

    /usr/bin/python3 tests/golden/compare_chat.py build/release/loadline [--templates 20000]
        [--conversations 500] [--seed 1] [--more FOLDER]

Needs python3-jinja2. Renders random templates (random_templates.py), and random conversations
(random_conversations.py) in each template of text/chat_templates, and of FOLDER (*.jinja: those of
the models at hand, say). What differs is printed, each a
line of JSON; ends with 1 when something does.
"""
import argparse
import json
import pathlib
import re
import signal
import subprocess
import sys
import warnings

import make_chat_golden
from random_conversations import RandomConversation
from random_templates import RandomTemplate

ADDRESS = re.compile(r" at 0x[0-9a-f]+")  # Python's own, the same for nobody
BATCH = 500


def answers(program, cases):
    lines = "".join(json.dumps({"chat_template": template, **variables}) + "\n"
                    for template, variables in cases)
    run = subprocess.run([program, "chat", "--template-jsonl"], input=lines.encode(), check=True,
                         stdout=subprocess.PIPE)
    answered = [json.loads(line) for line in run.stdout.decode().split("\n")[:-1]]
    assert len(answered) == len(cases), (len(answered), len(cases))
    return answered


class TooLong(Exception):
    pass


def too_long(*_):
    raise TooLong


def wanted(template, variables):
    """None where Python takes too long to say."""
    signal.signal(signal.SIGALRM, too_long)
    signal.alarm(20)
    try:
        return make_chat_golden.rendered(template, variables, pass_on=TooLong)
    except TooLong:
        return None
    finally:
        signal.alarm(0)


def differs(want, got):
    if "text" in want:
        return ADDRESS.sub("", want["text"]) != ADDRESS.sub("", got.get("text", "\0"))
    return "text" in got or (want["fails"] is not None and want["fails"] not in got["error"])


def compare(name, program, cases):
    compared = rendered = mismatches = 0
    for at in range(0, len(cases), BATCH):
        batch = cases[at:at + BATCH]
        for (template, variables), got in zip(batch, answers(program, batch)):
            want = wanted(template, variables)
            if want is None:
                continue
            compared += 1
            rendered += "text" in want
            if differs(want, got):
                mismatches += 1
                shown = {} if variables is make_chat_golden.VARIABLES else {"variables": variables}
                print(json.dumps({"template": template, **shown, "wanted": want, "got": got}, ensure_ascii=False), flush=True)
    print(f"{name}: {mismatches} mismatches in {compared}, {rendered} of which render", file=sys.stderr, flush=True)
    return mismatches


def main():
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--templates", type=int, default=20000)
    parser.add_argument("--conversations", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--more", type=pathlib.Path)
    options = parser.parse_args()
    mismatches = 0
    folders = [make_chat_golden.HERE / "chat_templates"] + ([options.more] if options.more else [])
    for path in sorted(path for folder in folders for path in folder.glob("*.jinja")):
        template = path.read_text(encoding="utf-8")
        mismatches += compare(path.name, options.program, [
            (template, RandomConversation(options.seed, i).variables())
            for i in range(options.conversations)])
    mismatches += compare("random templates", options.program, [
        (RandomTemplate(options.seed, i).text(), make_chat_golden.VARIABLES)
        for i in range(options.templates)])
    sys.exit(1 if mismatches else 0)


if __name__ == "__main__":
    main()
