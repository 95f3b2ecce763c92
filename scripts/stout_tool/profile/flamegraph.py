# SPDX-License-Identifier: MIT
"""A flame graph (Brendan Gregg): one SVG file, which a browser shows by itself.

A click shows one part of it in full width, Ctrl-F or the word "Search" marks what a regular expression matches, and says how much
of the time that is.  Colours: red to yellow the program, green code that was compiled at run time, blue the kernel.
"""
from __future__ import annotations

import zlib
from html import escape

from .names import KERNEL, Stacks

WIDTH, ROW, MARGIN, HEAD, FOOT = 1200, 16, 10, 44, 28
FONT = 12
CHARACTER = 7.0  # about, in pixels
LEAST = 0.3      # pixels: what is narrower is left out

STYLE = """
text { font-family: Verdana, sans-serif; font-size: 12px; fill: #000; }
#title { font-size: 17px; text-anchor: middle; }
.f { cursor: pointer; }
.f:hover rect { stroke: #000; stroke-width: 0.7; }
.parent rect { opacity: 0.5; }
.hide { display: none; }
.button { cursor: pointer; opacity: 0.6; }
"""

SCRIPT = """
"use strict";
var frames, details, matched, unzoom, X0 = %(margin)d, W = %(inner)d, root, pattern = null;
function num(g, name) { return parseFloat(g.getAttribute(name)); }
function start() {
  frames = Array.prototype.slice.call(document.querySelectorAll(".f"));
  details = document.getElementById("details");
  matched = document.getElementById("matched");
  unzoom = document.getElementById("unzoom");
  frames.forEach(function (g) {
    g.addEventListener("click", function () { zoom(g); });
    g.addEventListener("mouseover", function () { details.textContent = g.querySelector("title").textContent; });
    g.addEventListener("mouseout", function () { details.textContent = " "; });
  });
  root = frames[0];
  unzoom.addEventListener("click", function () { zoom(root); });
  document.getElementById("search").addEventListener("click", ask);
  window.addEventListener("keydown", function (e) {
    if (e.key === "F3" || ((e.ctrlKey || e.metaKey) && e.key === "f")) { e.preventDefault(); ask(); }
    if (e.key === "Escape") { zoom(root); search(null); }
  });
}
function zoom(to) {
  var x = num(to, "data-x"), w = num(to, "data-w"), d = num(to, "data-d");
  frames.forEach(function (g) {
    var gx = num(g, "data-x"), gw = num(g, "data-w"), gd = num(g, "data-d"), e = 1e-6;
    var inside = gx >= x - e && gx + gw <= x + w + e && gd >= d;
    var above = gd < d && gx <= x + e && gx + gw >= x + w - e;
    g.classList.toggle("hide", !inside && !above);
    g.classList.toggle("parent", above);
    if (inside) place(g, X0 + (gx - x) / w * W, gw / w * W);
    if (above) place(g, X0, W);
  });
  unzoom.classList.toggle("hide", to === root);
  count();
}
function place(g, x, w) {
  var r = g.querySelector("rect"), t = g.querySelector("text"), n = Math.floor((w - 6) / %(character)s);
  r.setAttribute("x", x); r.setAttribute("width", Math.max(w - 0.5, 0.1));
  t.setAttribute("x", x + 3);
  var name = g.getAttribute("data-n");
  t.textContent = n < 3 ? "" : name.length <= n ? name : name.slice(0, n - 2) + "..";
}
function ask() {
  var text = prompt("Search for (a regular expression):", pattern ? pattern.source : "");
  if (text === null) return;
  try { search(text ? new RegExp(text) : null); } catch (error) { alert("This is no regular expression: " + error.message); }
}
function search(p) {
  pattern = p;
  frames.forEach(function (g) {
    var r = g.querySelector("rect");
    r.setAttribute("fill", p && p.test(g.getAttribute("data-n")) ? "rgb(230,0,230)" : g.getAttribute("data-c"));
  });
  count();
}
function count() {
  matched.textContent = "";
  if (!pattern) return;
  var shown = 0, total = 0, end = -1;
  frames.filter(function (g) { return !g.classList.contains("hide") && !g.classList.contains("parent"); }).sort(function (a, b) {
    return num(a, "data-x") - num(b, "data-x") || num(a, "data-d") - num(b, "data-d");
  }).forEach(function (g) {
    var x = num(g, "data-x"), w = num(g, "data-w");
    total = Math.max(total, w);
    if (pattern.test(g.getAttribute("data-n")) && x >= end - 1e-9) { shown += w; end = x + w; }
  });
  matched.textContent = "Matched: " + (100 * shown / (total || 1)).toFixed(1) + " %%";
}
window.addEventListener("load", start);
"""


class Node:
    """A function, called by the chain above it."""

    def __init__(self) -> None:
        self.samples = 0
        self.children: dict[str, Node] = {}

    def depth(self) -> int:
        return 1 + max((child.depth() for child in self.children.values()), default=0)


def tree_of(stacks: Stacks) -> Node:
    root = Node()
    for stack, count in stacks.items():
        node = root
        node.samples += count
        for name in stack:
            node = node.children.setdefault(name, Node())
            node.samples += count
    return root


def colour(name: str, depth: int) -> str:
    value = zlib.crc32(name.encode("utf-8", "replace"))
    a, b = value & 63, value >> 8 & 127
    if depth == 0:
        return "rgb(230,230,230)"
    if name.endswith(KERNEL):
        return f"rgb({100 + a},{140 + a},{200 + a // 2})"
    if name.startswith(("JS:", "*", "~", "^", "LazyCompile:", "Interpreted:", "[anonymous code]", "py:")):
        return f"rgb({90 + a},{190 + a // 2},{80 + a})"
    return f"rgb({205 + a // 2},{60 + b},{30 + a // 2})"


def draw(stacks: Stacks, title: str, note: str) -> str:
    root = tree_of(stacks)
    depth = min(root.depth(), 400)
    height = HEAD + FOOT + depth * ROW
    inner = WIDTH - 2 * MARGIN
    script = SCRIPT % {"margin": MARGIN, "inner": inner, "character": CHARACTER}
    parts = [
        f'<?xml version="1.0" encoding="utf-8"?>\n<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'width="{WIDTH}" height="{height}">\n<style>{STYLE}</style>\n<script><![CDATA[{script}]]></script>\n'
        f'<rect width="100%" height="100%" fill="#f8f8f8"/>\n'
        f'<text id="title" x="{WIDTH // 2}" y="24">{clean(title)}</text>\n'
        f'<text id="unzoom" class="button hide" x="{MARGIN}" y="24">Reset zoom</text>\n'
        f'<text id="search" class="button" x="{WIDTH - MARGIN - 100}" y="24">Search</text>\n'
        f'<text id="matched" x="{WIDTH - MARGIN - 130}" y="{height - 9}"> </text>\n'
        f'<text id="details" x="{MARGIN}" y="{height - 9}">{clean(note)}</text>\n']
    everything = root.samples or 1
    pending = [("all", root, 0, 0)]
    while pending:
        name, node, before, level = pending.pop()
        left, share = before / everything, node.samples / everything
        if share * inner < LEAST or level >= depth:
            continue
        parts.append(frame(name, node, left, share, level, height, inner))
        for child_name, child in sorted(node.children.items()):
            pending.append((child_name, child, before, level + 1))
            before += child.samples
    return "".join(parts) + "</svg>\n"


def frame(name: str, node: Node, left: float, share: float, level: int, height: int, inner: int) -> str:
    x, width = MARGIN + left * inner, share * inner
    y = height - FOOT - (level + 1) * ROW
    shown = name.removesuffix(KERNEL)
    room = int((width - 6) / CHARACTER)
    text = "" if room < 3 else shown if len(shown) <= room else shown[:room - 2] + ".."
    fill = colour(name, level)
    return (f'<g class="f" data-x="{left:.7f}" data-w="{share:.7f}" data-d="{level}" data-n="{clean(shown)}" data-c="{fill}">'
            f"<title>{clean(shown)} ({node.samples} samples, {100 * share:.2f} %)</title>"
            f'<rect x="{x:.1f}" y="{y}" width="{max(width - 0.5, 0.1):.1f}" height="{ROW - 1}" rx="1" fill="{fill}"/>'
            f'<text x="{x + 3:.1f}" y="{y + 12}">{clean(text)}</text></g>\n')


def clean(text: str) -> str:
    """For XML 1.0: no control characters."""
    return escape("".join(c if c >= " " and not "\ud800" <= c <= "\udfff" and c not in "\ufffe\uffff" else "?" for c in text))
