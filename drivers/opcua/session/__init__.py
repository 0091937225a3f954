"""One secured session with a server: endpoint, certificates, trust, limits, reads of attributes, paths to node ids.

What always holds
-----------------
1. A client belongs to one attempt and is never used again: asyncua's own reconnect may hang for ever, or drop subscriptions.
2. Every step has a deadline, and every failure leaves as LinkLost, BadReply, Untrusted or DriverMisconfigured (`link.plain_errors`).
3. What a server may send is bounded (`wire`): chunks, messages, elements. A hostile peer ends its connection and nothing else.
4. Nothing about the server is remembered between sessions but its session token: namespaces, limits and paths are read anew.

`link` opens and uses the session; `security` chooses policy, certificate and identity; `trust` judges a certificate, `certs` manages the
folder; `wire` is the transport; `variant` decodes values; `attributes`, `paths`, `server_limits` ask the server about itself.
"""
