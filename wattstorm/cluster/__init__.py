"""Storm from Python: a development cluster on this machine, and deployment to any cluster.

home          Storm's jars on this machine: an Apache release, or fetched by Maven
development   a cluster on loopback for trials and tests; `keeper` holds its daemons
nimbus        what a cluster says of itself, by thrift
package       the topology jar, and the digest by which workers know their code
submission    the topology's configuration; handed to streamparse, which submits it
deployment    check, submit, wait; drain and undeploy
"""
