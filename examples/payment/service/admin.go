package service

import (
	"net/http"
	"strconv"

	hold "github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/examples/payment/application"
	"github.com/holdfast-go/holdfast/guardhttp"
)

// Admin is for whoever runs the service: its health, and how many requests it lets in.
// It belongs inside the network.
func (s *Service) Admin() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /healthz", guardhttp.Health{Orchestrator: s.Orchestrator})
	mux.HandleFunc("PUT /admission", s.changeAdmission)
	return mux
}

// changeAdmission takes per_second, and a version above that of any change before.
func (s *Service) changeAdmission(w http.ResponseWriter, r *http.Request) {
	perSecond, err := strconv.ParseInt(r.FormValue("per_second"), 10, 64)
	if err != nil {
		http.Error(w, "per_second is no number", http.StatusBadRequest)
		return
	}
	version, err := strconv.ParseInt(r.FormValue("version"), 10, 64)
	if err != nil {
		http.Error(w, "version is no number", http.StatusBadRequest)
		return
	}
	if err := application.ChangeAdmission(s.Orchestrator, hold.PerSecond(perSecond), version); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}
