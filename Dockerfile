# syntax=docker/dockerfile:1

FROM python:3.11-slim AS build
WORKDIR /build
COPY pyproject.toml README.md requirements.txt ./
COPY comparators comparators
COPY proxy proxy
COPY config config
RUN python -m venv /build/tools \
    && /build/tools/bin/pip install --no-cache-dir --disable-pip-version-check -c requirements.txt setuptools \
    && /build/tools/bin/pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /build/dist .
# The pins hold what is installed to known versions; the servers of the demo and the tools of the tests stay out,
# since nothing here asks for those extras.
RUN python -m venv /opt/shadowread \
    && /opt/shadowread/bin/pip install --no-cache-dir --disable-pip-version-check --only-binary :all: \
        -c requirements.txt /build/dist/shadowread-*.whl

FROM python:3.11-slim
RUN groupadd --system --gid 10001 shadowread \
    && useradd --system --uid 10001 --gid 10001 --home-dir /var/lib/shadowread --create-home shadowread
COPY --from=build /opt/shadowread /opt/shadowread
COPY --chown=shadowread:shadowread config /etc/shadowread
ENV PATH=/opt/shadowread/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    SHADOWREAD_CONFIG=/etc/shadowread/shadowread.yaml \
    SHADOWREAD_HEALTH_URL=http://127.0.0.1:8081/healthz
# The configuration that is shipped listens on loopback, and so in the container only: mount one of your own over it.
USER shadowread
WORKDIR /var/lib/shadowread
VOLUME /var/lib/shadowread
EXPOSE 8080 8081
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(os.environ['SHADOWREAD_HEALTH_URL'], timeout=2)"]
ENTRYPOINT ["shadowread"]
CMD ["serve"]
