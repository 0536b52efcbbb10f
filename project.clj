;; Read by streamparse (`sparse submit` in a checkout) and lein; `wattstorm deploy` needs no lein.
(defproject wattstorm "0.1.0"
  :description "Real-time smart-meter analytics on Apache Storm, in Python"
  :license {:name "Apache-2.0"}
  ;; streamparse puts the Python packages here, below resources/; there is no Java of our own
  :resource-paths ["_resources"]
  :source-paths []
  :test-paths []
  :target-path "_build"
  :min-lein-version "2.9.1"
  :jvm-opts ["-client"]
  ;; The cluster has Storm: it is not put into the jar. Naming it here, with all that its clients
  ;; need, would let lein ask a registry for it at every submission.
  :dependencies []
  :exclusions [org.apache.storm/storm-clojure]
  ;; lein's own base profile wants a REPL out of Clojars
  :profiles {:base {:dependencies []}}
  :jar-exclusions [#"(^|/)__pycache__/" #"\.pyc$"]
  :jar-name "wattstorm-topology.jar")
