// The same election without work, to be measured: it answers a command per line of its input with a line of JSON, as the
// programs that are measured beside it do. Environment: SERVICE_ACCOUNT and KUBERNETES_SERVICE_*, as in a pod, or KUBECONFIG.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// steady holds count leases at 15/10/2 until its input ends.
func steady(count string) {
	leases, err := strconv.Atoi(count)
	check(err)
	config, namespace := place()
	config.QPS, config.Burst = 5000, 5000
	client, err := kubernetes.NewForConfig(config)
	check(err)
	var held atomic.Int64
	for number := range leases {
		elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
			Lock: &resourcelock.LeaseLock{
				LeaseMeta:  metav1.ObjectMeta{Name: fmt.Sprintf("peer-%04d", number), Namespace: namespace},
				Client:     client.CoordinationV1(),
				LockConfig: resourcelock.ResourceLockConfig{Identity: fmt.Sprintf("peer_%d", os.Getpid())},
			},
			LeaseDuration: 15 * time.Second,
			RenewDeadline: 10 * time.Second,
			RetryPeriod:   2 * time.Second,
			Callbacks: leaderelection.LeaderCallbacks{
				OnStartedLeading: func(context.Context) { held.Add(1) },
				OnStoppedLeading: func() { held.Add(-1) },
			},
		})
		check(err)
		go elector.Run(context.Background())
	}
	answers := map[string]func() any{
		"held":  func() any { return held.Load() },
		"lost":  func() any { return []string{} },
		"facts": func() any { return facts() },
	}
	for input := bufio.NewScanner(os.Stdin); input.Scan(); {
		text, err := json.Marshal(answers[input.Text()]())
		check(err)
		fmt.Println(string(text))
	}
}

func place() (*rest.Config, string) {
	folder, host := os.Getenv("SERVICE_ACCOUNT"), os.Getenv("KUBERNETES_SERVICE_HOST")
	if host == "" {
		loading := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(
			clientcmd.NewDefaultClientConfigLoadingRules(), &clientcmd.ConfigOverrides{})
		config, err := loading.ClientConfig()
		check(err)
		namespace, _, err := loading.Namespace()
		check(err)
		return config, namespace
	}
	namespace, err := os.ReadFile(folder + "/namespace")
	check(err)
	token, err := os.ReadFile(folder + "/token")
	check(err)
	return &rest.Config{
		Host:            "https://" + host + ":" + os.Getenv("KUBERNETES_SERVICE_PORT"),
		BearerToken:     strings.TrimSpace(string(token)),
		BearerTokenFile: folder + "/token",
		TLSClientConfig: rest.TLSClientConfig{CAFile: folder + "/ca.crt"},
	}, strings.TrimSpace(string(namespace))
}

func facts() map[string]any {
	var used syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &used))
	status, err := os.ReadFile("/proc/self/status")
	check(err)
	var resident float64
	for _, line := range strings.Split(string(status), "\n") {
		if value, found := strings.CutPrefix(line, "VmRSS:"); found {
			_, err := fmt.Sscanf(value, "%f", &resident)
			check(err)
		}
	}
	spent := time.Duration(used.Utime.Nano() + used.Stime.Nano())
	return map[string]any{
		"at": bootTime(), "cpu": spent.Seconds(), "rss_mib": resident / 1024, "threads": []string{}, "tasks": 0,
	}
}
