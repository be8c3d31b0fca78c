"""The configuration of nginx as a reverse proxy, and as one that mirrors. Pure: text out."""

from __future__ import annotations

PLAIN = """
    location / {{ proxy_pass http://primary; }}
"""
MIRRORING = """
    location / {{ mirror /mirrored; mirror_request_body off; proxy_pass http://primary; }}
    location = /mirrored {{
      internal;
      proxy_pass_request_body off;
      proxy_set_header Content-Length "";
      proxy_pass http://twin$request_uri;
    }}
"""
WHOLE = """
daemon off;
worker_processes 1;
pid nginx.pid;
error_log stderr error;
{user}
events {{ worker_connections 4096; }}
http {{
  access_log off;
  keepalive_requests 1000000000;
  client_body_temp_path temporary; proxy_temp_path temporary; fastcgi_temp_path temporary;
  uwsgi_temp_path temporary; scgi_temp_path temporary;
  upstream primary {{ server 127.0.0.1:{primary}; keepalive 64; keepalive_requests 1000000000; }}
  upstream twin {{ server 127.0.0.1:{twin}; keepalive 64; keepalive_requests 1000000000; }}
  proxy_http_version 1.1;
  proxy_set_header Connection "";
  # Whole answers fit into memory: nothing is written to disk.
  proxy_buffers 64 32k; proxy_buffer_size 32k; proxy_busy_buffers_size 256k; proxy_max_temp_file_size 0;
  server {{
    listen 127.0.0.1:{port};
    {locations}
  }}
}}
"""


def nginx_conf(*, port: int, primary: int, twin: int, mirror: bool, root: bool) -> str:
    """One worker, connections kept open on both ends. `root`: whether root starts it, as whom it then stays."""
    locations = (MIRRORING if mirror else PLAIN).format()
    user = "user root;" if root else ""
    return WHOLE.format(user=user, port=port, primary=primary, twin=twin, locations=locations)
