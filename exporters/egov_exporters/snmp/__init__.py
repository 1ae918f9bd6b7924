"""The SNMP exporter. A scrape goes through three layers, each of which can be replaced without the others:

fetch (session, v2c, v3, walk) → decode (decode) → expose (expose); `scrape` joins them and `web` serves the result.
"""
