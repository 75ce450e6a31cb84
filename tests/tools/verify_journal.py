#!/usr/bin/env python3
"""Verifies a journal from docs/journal.md alone: verify_journal.py DIRECTORY journal.pub [CHECKPOINTS]"""
import base64, glob, hashlib, json, os, re, sys
from cryptography.hazmat.primitives.serialization import load_pem_public_key

sha = lambda *parts: hashlib.sha256(b"".join(parts)).digest()

def root(leaves):  # RFC 6962 2.1
    if len(leaves) < 2:
        return sha(b"\0", leaves[0]) if leaves else sha()
    k = 1 << (len(leaves) - 1).bit_length() - 1
    return sha(b"\1", root(leaves[:k]), root(leaves[k:]))

def journal(directory):
    seq, prev, torn, signed = 0, "0" * 64, {}, {}
    for name in sorted(glob.glob(os.path.join(directory, "segment-*.jsonl"))):
        number, data, at, leaves = int(name[-14:-6]), open(name, "rb").read(), 0, []
        for line in data.splitlines(keepends=True):
            body, _, seal = line.rpartition(b',"hash":"')
            if hashlib.sha256(body).hexdigest().encode() + b'"}\n' != seal:
                torn[number] = data[at:]  # fine only if the next segment says so, or at the very end
                if data.endswith(b"\n") and b"\0" not in torn[number]:
                    sys.exit(f"{name}: byte {at}: a line was changed or added: {line[:60]!r}")
                break
            record, at = json.loads(line), at + len(line)
            if (record["seq"], record["prev"]) != (seq + 1, prev):
                sys.exit(f"{name}: byte {at - len(line)}: record {record['seq']} does not follow {seq}")
            for told in record["detail"].get("torn", []) if record["event"] == "journal.recover" else []:
                if hashlib.sha256(torn.pop(told["segment"], b"")).hexdigest() != told["sha256"]:
                    sys.exit(f"segment {told['segment']}: its end is not what the journal found")
            seq, prev = record["seq"], record["hash"]
            leaves.append(bytes.fromhex(prev))
            signed[seq] = (prev, number, leaves, len(leaves))
    for number, end in torn.items():
        if seq and number < signed[seq][1]:
            sys.exit(f"segment {number}: {len(end)} bytes at its end that the journal doesn't tell of")
        print(f"segment {number}: {len(end)} bytes of an unfinished write")
    return seq, signed

def checkpoints(path, key, seq, signed):
    proven, state = 0, ["open"]
    for text, name, blob in re.findall("(sekimori.journal/.*?\n)\n\u2014 (\\S+) (\\S+)\n", open(path).read(), re.S):
        key.verify(base64.b64decode(blob)[4:], text.encode())
        _, size, tree, chain, segment, _, *state = text.split("\n")
        proven = int(size)
        if proven > seq:
            sys.exit(f"{path}: record {proven} was signed, the journal ends at {seq}: cut tail or rollback")
        hash_, number, leaves, count = signed[proven]
        if (chain, segment) != (f"chain {hash_}", f"segment {number} {count}") or base64.b64decode(tree) != root(leaves[:count]):
            sys.exit(f"{path}: record {proven} is not the one that was signed")
    return proven, state[0] == "state closed"

seq, signed = journal(sys.argv[1])
key = load_pem_public_key(open(sys.argv[2], "rb").read())
newest = []
for path in [os.path.join(sys.argv[1], "checkpoints"), *sys.argv[3:]]:
    newest.append(checkpoints(path, key, seq, signed))
    print(f"{path}: signed up to record {newest[-1][0]} of {seq}")
proven, closed = max(newest, key=lambda end: (end[0], not end[1]))
if closed and proven < seq:
    sys.exit(f"records {proven + 1} to {seq} were added after the journal was closed")
