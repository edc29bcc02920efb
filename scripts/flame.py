#!/usr/bin/env python3
"""A flame graph from `perf script`: flame.py < perf.txt > flame.svg. Width is processor time, upwards is who is called.

    perf record -e cpu-clock -F 1999 --call-graph dwarf,16384 -p PID -- sleep 10
    perf script --no-inline -F ip,sym | scripts/flame.py > docs/flame.svg
"""
import re
import sys
from collections import Counter

WIDTH, ROW, LEAST = 1200, 16, 0.002  # pixels, pixels, share of all samples below which a frame is left out


def name(frame):
    frame = re.sub(r"^\s*[0-9a-f]+ ", "", frame).split("+0x")[0].strip()
    frame = re.sub(r"::h[0-9a-f]{16}$|<core::pin::Pin<.*|\[clone.*", "", frame)
    as_trait = re.match(r"<(.+?)(?:<.*>)? as (?:.*::)?(\w+)(?:<.*>)?>::(\w+)", frame)
    return f"{as_trait[1]}::{as_trait[3]}" if as_trait else re.sub(r"<[^<>]*>", "", frame)


def stacks(lines):
    stack = []
    for line in lines:
        if line.strip():
            stack.append(name(line))
        elif stack:
            # From an actor's turn, or the wait for one, on: what stands below is the runtime's loop.
            stack = stack[::-1]
            start = max((place for place, frame in enumerate(stack) if re.search(r"task::(raw|core|harness)::|::park", frame)), default=0)
            yield tuple(frame for frame in stack[start:] if frame != "[unknown]")
            stack = []


def main():
    prefixes = Counter()
    for stack in stacks(sys.stdin):
        prefixes.update(stack[:depth] for depth in range(len(stack) + 1))
    total = prefixes[()]
    shown = {prefix: count for prefix, count in prefixes.items() if count >= LEAST * total}
    height = (max(map(len, shown)) + 1) * ROW
    print(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="monospace" font-size="11">')
    left = {(): 0}
    for prefix in sorted(shown, key=lambda prefix: (len(prefix), prefix)):
        if prefix:
            left[prefix] = left[prefix[:-1]]
            left[prefix[:-1]] += shown[prefix]
        x, width = left[prefix] * WIDTH / total, shown[prefix] * WIDTH / total
        text = prefix[-1] if prefix else "all"
        kernel = "::" not in text and not text.startswith("__libc")
        colour = "#e8e8e8" if not prefix else "#8ecae6" if "str0m" in text else "#95d5b2" if re.match(r"(actors|codecs)::", text) else "#f4a3a3" if kernel else "#ffd58a"
        text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        y, letters = height - (len(prefix) + 1) * ROW, int(width / 6.7)
        print(f'<g><title>{text} {100 * shown[prefix] / total:.1f} %</title><rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{ROW - 1}" fill="{colour}"/>', end="")
        print(f'<text x="{x + 2:.1f}" y="{y + 11}">{text[:letters]}</text></g>' if letters > 3 else "</g>")
    print("</svg>")


main()
