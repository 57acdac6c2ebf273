# docker build -t tunecli .
# docker run --rm -v "$PWD/studies:/work/studies" -v tunecli-runs:/work/runs tunecli search studies/digits.yaml
FROM python:3.12-slim

RUN useradd --create-home --uid 1000 tunecli && mkdir -p /work/runs && chown -R tunecli /work

COPY pyproject.toml README.md LICENSE /src/
COPY tunecli /src/tunecli
RUN pip install --no-cache-dir /src

COPY --chown=tunecli studies /work/studies
WORKDIR /work
USER tunecli
VOLUME /work/runs
ENTRYPOINT ["tunecli"]
