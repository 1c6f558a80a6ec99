# The image that runs jobs: samza-py in an environment of its own, no job, no compiler.
#
#     docker build --tag samza-py .
#     docker run --rm --read-only --tmpfs /tmp --volume "$PWD:/job:ro" samza-py run pricing.py
#
# docs/deploy.md says how to run it for long. deploy/build_without_docker.sh builds this very file
# without an engine.

# Any image with Python 3.11 or newer and its venv module.
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
ARG EXTRAS=kafka,monitoring,uvloop
WORKDIR /build
RUN python3 -m venv tools

# Each file is compared with its hash here, and what follows takes from this folder alone: `EXTRAS`
# chooses what is installed, and the lock says which version and which bytes. The secrets are for
# who has a mirror or an authority of their own; they stay out of the image and may be left out.
COPY dev/locks/run.txt ./
RUN --mount=type=secret,id=pip,target=/etc/pip.conf --mount=type=secret,id=authorities \
    tools/bin/pip download --no-cache-dir --require-hashes --only-binary :all: \
        --requirement run.txt --dest wheels

# Two folders of samza_py are links to those at the top.
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY samza_py samza_py/
COPY connectors connectors/
COPY runtime runtime/
RUN tools/bin/pip wheel --no-cache-dir --no-index --find-links wheels --no-deps \
        --wheel-dir wheels . \
    && python3 -m venv --without-pip /opt/samza-py \
    && tools/bin/pip --python /opt/samza-py/bin/python install --no-cache-dir \
        --no-index --find-links wheels "samza-py[${EXTRAS}]"

FROM ${BASE}
LABEL org.opencontainers.image.title="samza-py" \
      org.opencontainers.image.licenses="Apache-2.0"
# By number, so that Kubernetes sees without a look into the image that it is not root.
RUN groupadd --gid 10001 samza \
    && useradd --uid 10001 --gid 10001 --home-dir /state --no-create-home samza \
    && install --directory --owner 10001 --group 10001 --mode 0750 /state
WORKDIR /job
COPY --from=build /opt/samza-py /opt/samza-py
COPY deploy/healthcheck.py /opt/samza-py/
# The package is compiled already, and a read-only file system takes no compiled job file.
ENV PATH=/opt/samza-py/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    XDG_STATE_HOME=/state
USER 10001:10001
# Checkpoints of jobs that keep them in a local file; those of Kafka leave it empty.
VOLUME /state
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s \
    CMD ["python", "/opt/samza-py/healthcheck.py"]
ENTRYPOINT ["samza-py"]
CMD ["--help"]
