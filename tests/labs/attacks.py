"""Hand-ins that attack whoever grades them."""

# What stands before the answer to the first exercise; the answers to all others are right.
ATTACKS = {
    "reads": """
import os
def found(root):
    for folder, _, files in os.walk(root):
        for name in files:
            if name in ("key.json", "roster.csv", "exercises.py", "job.json", "_harness.py"):
                return open(os.path.join(folder, name)).read()
def {name}(*args):
    text = found("/")
    raise KeyError(text) if text else ValueError("NOTHING " + repr(args))""",
    "forks": """
import os
def {name}(*args):
    while True:
        try:
            os.setsid()
        except OSError:
            pass
        try:
            os.fork()
        except OSError:
            pass""",
    "exits": """
import os
def {name}(*args):
    os._exit(0)""",
    "floods": """
import os, sys
def {name}(*args):
    for fd in range(3, 30):
        try:
            while os.write(fd, b'{{"result": 1, "arguments": null, "largest": 0}}' * 1000):
                pass
        except OSError:
            pass""",
    "prints": """
import sys
def {name}(*args):
    while True:
        print("x" * 100000)
        sys.__stdout__.write("x" * 100000)""",
    "patches": """
import kimi_mini.labs
import kimi_mini.labs.cases
class Same(dict):
    __eq__ = lambda self, other: True
def {name}(*args):
    kimi_mini.labs.difference = kimi_mini.labs.cases.difference = kimi_mini.labs.cases._differ = lambda *a: None
    kimi_mini.labs.cases.encode = lambda value: {{"list": [{{"tensor": "", "shape": [1 << 40], "dtype": "float32"}}]}}
    return Same()""",
    "hangs": """
def {name}(*args):
    while True:
        try:
            while True:
                pass
        except BaseException:
            pass""",
    "nests": """
import kimi_mini.labs.cases
def {name}(*args):
    deep = "text"
    for _ in range(400):
        deep = {{"list": [deep]}}
    kimi_mini.labs.cases.encode = lambda value: deep""",
    "eats": """
def {name}(*args):
    return [bytearray(1 << 28) for _ in range(1000)]""",
    "kills": """
import os
def {name}(*args):
    os.kill(os.getppid(), 9)""",
}
OWN_FAULT = {"kills"}  # ends the run of its whole notebook
