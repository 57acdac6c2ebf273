# docker build -t tunecli .
# docker run --rm -v tunecli-runs:/work/runs tunecli search studies/digits.yaml
FROM python:3.12-slim

COPY pyproject.toml README.md LICENSE /src/
COPY tunecli /src/tunecli
RUN pip install --no-cache-dir /src

RUN install --directory --owner=1000 --group=1000 /work /work/runs
COPY studies /work/studies
WORKDIR /work
ENV HOME=/work
USER 1000:1000
VOLUME /work/runs
ENTRYPOINT ["tunecli"]
