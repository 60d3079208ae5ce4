#!/usr/bin/env python3
"""Submits a command as a job, follows what it prints, and ends as it ended: by HTTP alone.

DX_URL=http://127.0.0.1:8080 DX_TOKEN=$(dx token create me --scope submit) ./follow.py echo hello
"""
import json, os, sys, urllib.request as http

def ask(path, body=None):
    request = http.Request(os.environ["DX_URL"] + path, body and json.dumps(body).encode(), {
        "authorization": "Bearer " + os.environ["DX_TOKEN"], "content-type": "application/json"})
    return http.urlopen(request)

job = json.load(ask("/v1/jobs", {"commands": [{"exec": sys.argv[1:]}]}))["job"]
for piece in iter(ask(f"/v1/jobs/{job}/tasks/0/log?follow=true").read1, b""):
    sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()
view = json.load(ask(f"/v1/jobs/{job}"))
while view["ended"] is None:
    view = json.load(ask(f"/v1/jobs/{job}?since={view['version']}&wait=30s"))
sys.exit(view["exit"])
