# gdflow with everything it needs, set up as `make run` sets it up. The home, artifacts/ and runs/, is /data.
#   docker build -t gdflow .
#   docker run -v gdflow-home:/data gdflow gdflow run --preset tiny
FROM python:3.12-slim
RUN apt-get update && apt-get install -y --no-install-recommends make gcc libc6-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /gdflow
COPY . .
RUN make setup
ENV PATH=/gdflow/.venv/bin:$PATH GDFLOW_HOME=/data
VOLUME /data
WORKDIR /data
CMD ["gdflow", "--help"]
