#!/usr/bin/env python3
"""Verifies a journal from docs/journal.md alone: verify_journal.py DIRECTORY journal.pub [CHECKPOINTS]"""
import base64, glob, hashlib, json, re, sys
from cryptography.hazmat.primitives.serialization import load_pem_public_key

sha = lambda *parts: hashlib.sha256(b"".join(parts))
must = lambda holds, fault: holds or sys.exit(fault)

def root(leaves):  # of the tree of RFC 6962 2.1
    half = 1 << (len(leaves) - 1).bit_length() - 1 if leaves[1:] else 0
    return sha(b"\1", root(leaves[:half]), root(leaves[half:])).digest() if half else sha(b"\0", *leaves).digest()

directory, key = sys.argv[1], load_pem_public_key(open(sys.argv[2], "rb").read())
seq, prev, last, torn, places, newest = 0, "0" * 64, 0, {}, {}, (0, "state open")
for path in sorted(glob.glob(directory + "/segment-*.jsonl")):
    number, data, at, leaves = int(path[-14:-6]), open(path, "rb").read(), 0, []
    for line in data.splitlines(keepends=True):
        body, _, seal = line.rpartition(b',"hash":"')
        if seal != sha(body).hexdigest().encode() + b'"}\n':
            torn[number] = data[at:]  # fine if a later record tells of it, or if there is none
            must(b"\0" in torn[number] or data[-1:] != b"\n", f"{path}: byte {at}: a line was changed or added")
            break
        record = json.loads(line)
        follows = (record["seq"], record["prev"]) == (seq + 1, prev)
        must(follows, f"{path}: byte {at}: record {record['seq']} does not follow {seq}")
        for told in record.get("detail", {}).get("torn", []) if record["event"] == "journal.recover" else []:
            end = torn.pop(told["segment"], b"")
            must(sha(end).hexdigest() == told["sha256"], f"segment {told['segment']}: not the end that was found")
        seq, prev, last, at = record["seq"], record["hash"], number, at + len(line)
        leaves.append(bytes.fromhex(prev))
        places[seq] = f"chain {prev}", f"segment {number} {len(leaves)}", leaves
for number, end in torn.items():
    must(number >= last, f"segment {number}: {len(end)} bytes at its end that the journal doesn't tell of")
    print(f"segment {number}: {len(end)} bytes of an unfinished write")
for path in [directory + "/checkpoints", *sys.argv[3:]]:
    size = 0
    for text, blob in re.findall("(sekimori.journal/.*?\n)\n\u2014 \\S+ (\\S+)\n", open(path).read(), re.S):
        key.verify(base64.b64decode(blob)[4:], text.encode())
        _, size, tree, chain, segment, _, state, _ = text.split("\n")
        must(int(size) <= seq, f"{path}: record {size} was signed, the journal ends at {seq}: cut tail or rollback")
        *place, leaves = places[int(size)]
        same = place == [chain, segment] and base64.b64decode(tree) == root(leaves[:int(segment.split()[2])])
        must(same, f"{path}: record {size} is not the one that was signed")
        newest = max(newest, (int(size), state))  # "open" after "closed": a closed journal was opened again
    print(f"{path}: signed up to record {size} of {seq}")
must(newest[0] == seq or newest[1] == "state open", "records were added after the journal was closed")
